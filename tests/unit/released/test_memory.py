"""Loading streams: a process never holds more than 1.2 times the model in anonymous memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.released import measure_loading
from tests.unit.released.checkpoints import Format, Sizes, write_checkpoint

REPOSITORY = Path(__file__).parents[3]
MEDIUM = Sizes(width=1024, inner=2816, layers=5, sam_width=256, sam_layers=12)
LARGE = Sizes(width=2048, inner=5504, layers=11, sam_width=768, sam_layers=12)
MEGABYTE = 1 << 20
# glibc gives freed blocks back to the system from a size on that it raises whenever it frees a
# larger one. Blocks of a few megabytes, as in small models, then go back or stay, as it happens.
# Setting the size, even to its default, turns that off. Models of real size need no such help.
FREED_GOES_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072"}

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs Linux's account of anonymous memory"
)


def measure(
    tmp_path: Path, sizes: Sizes, kind: Format, dtype: str, settings: Mapping[str, str]
) -> dict[str, int]:
    for name, wanted, shards in (("warm", Sizes(), 1), ("root", sizes, 3)):
        (tmp_path / name).mkdir()
        write_checkpoint(tmp_path / name, wanted, kind=kind, shards=shards)
    roots = [str(tmp_path / name) for name in ("warm", "root")]
    done = subprocess.run(
        [sys.executable, str(measure_loading.__file__), *roots, dtype],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    measured: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    print(f"{kind} {dtype}: {measured}")
    return measured


# The easiest case, and the hardest: a format that is read whole, and every number converted.
@pytest.mark.parametrize(("kind", "dtype"), [("bin", "stored"), ("old_bin", "float32")])
def test_about_150_megabytes(tmp_path: Path, kind: Format, dtype: str) -> None:
    measured = measure(tmp_path, MEDIUM, kind, dtype, FREED_GOES_BACK)
    assert measured["model_bytes"] > 140 * MEGABYTE
    assert measured["peak_bytes"] <= 1.2 * measured["model_bytes"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bin", "safetensors"])
@pytest.mark.parametrize("dtype", ["stored", "float32"])
def test_over_a_gigabyte(tmp_path: Path, kind: Format, dtype: str) -> None:
    measured = measure(tmp_path, LARGE, kind, dtype, {})
    assert 1024 * MEGABYTE < measured["model_bytes"] < 4096 * MEGABYTE
    assert measured["peak_bytes"] <= 1.2 * measured["model_bytes"]
