"""The README is a map: what it names exists."""

from __future__ import annotations

import importlib.util
import os
import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.guards.repository import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def code_lines() -> list[str]:
    blocks = re.findall(r"^```(?:bash|sh|console)\n(.*?)^```", README, flags=re.M | re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix(".venv/bin/") for line in lines if line]


def tree_paths() -> list[str]:
    """Paths of the file tree: a block that begins with `lisa/`, two spaces of indent a level."""
    block = re.search(r"^```text\n(lisa/.*?)^```", README, flags=re.M | re.S)
    assert block, "the README has no file tree"
    paths, folders = [], []
    for line in block.group(1).splitlines():
        if not line.strip():
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders[depth:] = [name.rstrip("/")]
        paths.append("/".join(folders))
    return paths


@pytest.mark.parametrize("line", [c for c in code_lines() if c.startswith("make")])
def test_make_targets_exist(line: str):
    for target in line.split()[1:]:
        assert "=" in target or re.search(rf"^{target}:", MAKEFILE, flags=re.M)


@pytest.mark.parametrize("line", [c for c in code_lines() if c.startswith("lisa ")])
def test_commands_exist(line: str):
    assert line.split()[1] in PROJECT["entry-points"]["lisa.commands"]


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([\w.]+)", README))))
def test_modules_exist(module: str):
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("path", tree_paths())
def test_tree_is_on_disk(path: str):
    assert (ROOT / path).exists()


def test_top_of_the_tree_is_complete():
    named = set(tree_paths())
    modules = {f"lisa/{p.name}" for p in (ROOT / "lisa").glob("*.py") if p.name != "__init__.py"}
    assert modules <= named, f"the README's tree lacks {sorted(modules - named)}"


def test_links_and_pictures_exist():
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_python_example_names_exist():
    for block in re.findall(r"^```python\n(.*?)^```", README, flags=re.M | re.S):
        compile(block, "README.md", "exec")
        for module, names in re.findall(r"^from (\S+) import (.+)$", block, flags=re.M):
            loaded = importlib.import_module(module)
            assert all(hasattr(loaded, name.strip()) for name in names.split(","))


def test_ci_runs_what_the_readme_says():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test\n" in script.read_text()
    assert "make test" in code_lines()


def test_every_requirement_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    ranges = [line for line in lines if "==" not in line and not line.startswith("#")]
    assert ranges == ["pillow>=12.3,<=13.0.0"]
    assert not [line for line in lines if "://" in line or " @ " in line]
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *(r for name in extras for r in extras[name])]
    for requirement in map(Requirement, asked):
        if requirement.name in {PROJECT["name"], "pillow"}:
            continue
        pin = pins[requirement.name.lower()]
        assert requirement.specifier.contains(pin, prereleases=True), requirement
