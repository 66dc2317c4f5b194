"""Finds the test vectors, which original implementations made on tiny weights, and compares.

Their root is the environment variable ``LISA_GOLDEN`` (default: ``../shared/golden`` beside the
repository). A case is any folder below it with a ``manifest.json``; its ``kind`` says who reads it.
"""

from __future__ import annotations

import fnmatch
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

VARIABLE = "LISA_GOLDEN"
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """One folder of test vectors."""

    path: Path
    manifest: dict[str, Any]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Load one of the case's safetensors files."""
        return load_file(self.path / name)

    def assert_close(
        self, name: str, actual: Tensor, expected: Tensor, rounding: float = 0.0
    ) -> None:
        """Compare with the tolerance that the manifest gives for the tensor ``name``.

        Args:
            name: The tensor's name in the vectors.
            actual: Ours.
            expected: The vector.
            rounding: What rounding alone is worth in ``actual``, where the caller has measured it.
                It is allowed twice, because the vector was rounded as well.
        """
        atol, rtol = tolerance(self.manifest, name)
        torch.testing.assert_close(
            actual.detach().double(),
            expected.detach().double(),
            atol=atol + 2 * rounding,
            rtol=rtol,
            msg=lambda text: f"{self.path.name}: {name}: {text}",
        )


def root() -> Path:
    """Return the folder of the test vectors, which need not exist."""
    return Path(os.environ.get(VARIABLE) or _REPOSITORY.parent / "shared" / "golden")


def cases(kind: str) -> list[Case]:
    """Return the cases of one kind in a stable order; none if the root is absent."""
    found = []
    for path in sorted(root().rglob("manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(manifest, dict) and manifest.get("kind") == kind:
            found.append(Case(path.parent, manifest))
    return found


def each_case(kind: str) -> pytest.MarkDecorator:
    """Run a test for each case of a kind, as its argument ``case``; skip it if there is none."""
    found = cases(kind)
    if found:
        ids = [str(case.path.relative_to(root())) for case in found]
        return pytest.mark.parametrize("case", found, ids=ids)
    reason = f"no test vectors of kind {kind!r} under {root()}: set {VARIABLE} to their folder"
    skipped = pytest.param(None, marks=pytest.mark.skip(reason=reason), id="absent")
    return pytest.mark.parametrize("case", [skipped])


def tolerance(manifest: dict[str, Any], name: str) -> tuple[float, float]:
    """Return (atol, rtol): of the first pattern in ``compare`` that matches, else the default."""
    compare = manifest["compare"]
    for pattern, entry in compare.items():
        if pattern != "default" and fnmatch.fnmatchcase(name, pattern) and "atol" in entry:
            return float(entry["atol"]), float(entry["rtol"])
    return float(compare["default"]["atol"]), float(compare["default"]["rtol"])
