"""Habits that keep the program safe and able to run on every device."""

from __future__ import annotations

import ast
import re

import pytest

from tests.guards.repository import PACKAGES, files, name_of, python_files, tree

ALL_PYTHON = python_files(*PACKAGES, "tests")
MAX_TEXT_BYTES = 2_000_000
# In pieces, or this file would find itself.
FOREIGN = (
    r"pypi" + r"\.org",
    r"python" + r"hosted",
    r"npm" + r"js\.",
    r"deb\.deb" + r"ian",
    r"download\.py" + r"torch",
    r"(extra-|--)index" + r"-url",
    r"/wo" + r"rk/",
    r"/ro" + r"ot/",
    r"/opt/" + r"py",
)


def calls(path) -> list[ast.Call]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", ALL_PYTHON, ids=name_of)
def test_devices_are_chosen_in_one_place(path):
    wrong = [c.lineno for c in calls(path) if ast.unparse(c.func).endswith(".cuda")]
    assert not wrong, "say .to(device): there are machines without CUDA"


@pytest.mark.parametrize("path", ALL_PYTHON, ids=name_of)
def test_no_code_from_the_hub(path):
    words = [k.arg for c in calls(path) for k in c.keywords]
    assert "trust_remote" + "_code" not in words


@pytest.mark.parametrize("path", ALL_PYTHON, ids=name_of)
def test_pickles_hold_weights_only(path):
    for call in calls(path):
        function = ast.unparse(call.func)
        if function == "torch.load":
            given = {k.arg: ast.unparse(k.value) for k in call.keywords}
            assert given.get("weights_only") == "True", f"line {call.lineno}"
        assert function not in {"pickle.load", "pickle.loads"}, f"line {call.lineno}"
        assert "allow_pickle" not in {k.arg for k in call.keywords}, f"line {call.lineno}"


@pytest.mark.parametrize("path", ALL_PYTHON, ids=name_of)
def test_the_builtin_eval_keeps_its_name(path):
    """`import eval.metrics` would put our package in the place of Python's own `eval`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            wrong = [a.name for a in node.names if a.name.split(".")[0] == "eval" and not a.asname]
            assert not wrong, f"line {node.lineno}: write `from eval... import ...`"


def test_no_text_names_a_registry_or_a_machine():
    pattern = re.compile("|".join(FOREIGN))
    found = []
    for path in files():
        if path.stat().st_size > MAX_TEXT_BYTES or b"\0" in path.read_bytes()[:4096]:
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            match = pattern.search(line)
            if match:
                found.append(f"{name_of(path)}:{number}: {match.group()}")
    assert not found
