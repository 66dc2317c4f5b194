"""What the guard tests look at: the repository's files, found once."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lisa", "eval", "training", "chat")


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that is or may become part of the repository: what git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return tuple(path for path in paths if path.is_file())


@functools.cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """The Python files under some top folders; without any, those of the four packages."""
    chosen = folders or PACKAGES
    return tuple(
        path
        for path in files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in chosen
    )


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def constants(path: Path) -> Iterator[ast.Constant]:
    """Literals that a file computes with: no docstrings, no words of an error."""
    module = tree(path)
    skipped = {
        id(part)
        for node in ast.walk(module)
        if isinstance(node, ast.Raise)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for part in ast.walk(node)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and id(node) not in skipped:
            yield node


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
