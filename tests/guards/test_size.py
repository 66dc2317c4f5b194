"""Files and functions stay short enough to be read at once."""

from __future__ import annotations

import ast

import pytest

from tests.guards.repository import PACKAGES, name_of, python_files, tree

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 80
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


@pytest.mark.parametrize("path", python_files(*PACKAGES, "tests"), ids=name_of)
def test_file_length(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES, f"{lines} lines: split it by idea"


@pytest.mark.parametrize("path", python_files(), ids=name_of)
def test_function_length(path):
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert not long


def test_names_say_the_thing():
    vague = [name_of(p) for p in python_files() if VAGUE_NAMES & {p.stem, p.parent.name}]
    assert not vague
