"""Imports: cheap at the top, one way between folders, and every module can be imported."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.guards.repository import ROOT, python_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = PROJECT["entry-points"]["lisa.commands"]
CHEAP = ["lisa", "lisa.errors", "lisa.types", "lisa.devices", "lisa.cli", *COMMANDS.values()]


def modules() -> list[str]:
    names = []
    for path in python_files():
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__main__":
            continue
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


@pytest.mark.parametrize("module", CHEAP)
def test_cheap_modules_load_nothing_heavy(module: str):
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'transformers', 'torchvision', 'datasets'} & set(sys.modules)\n"
        "sys.exit(f'loads {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", modules())
def test_every_module_imports(module: str):
    importlib.import_module(module)


def test_public_names_exist():
    lisa = importlib.import_module("lisa")
    assert [name for name in lisa.__all__ if not hasattr(lisa, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = lisa.nonsense


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_have_their_three_names(name: str):
    module = importlib.import_module(COMMANDS[name])
    assert module.HELP
    assert callable(module.add_arguments)
    assert callable(module.run)


@pytest.mark.parametrize("target", PROJECT["entry-points"]["lisa.benchmarks"].values())
def test_benchmarks_exist(target: str):
    module, _, function = target.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_folders_import_one_way():
    tool = Path(sys.executable).with_name("lint-imports")
    if not tool.exists():
        pytest.skip("import-linter is not installed: pip install 'lisa-assistant[dev]'")
    done = subprocess.run([tool], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
