"""How long it takes until something happens: `python -m eval.speed load`.

Whole processes, as a user starts them; the file cache is warm after the first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lisa.demo import demo_picture
from lisa.errors import DataError
from lisa.measurement import Measurement, in_turns, seconds

ROUNDS = 5
_COMMAND = "from lisa.cli import run; run()"
_QUESTION = "Segment the mug."


def measure() -> dict[str, Measurement]:
    """Measure commands of lisa from their start to their end.

    Returns:
        Seconds of an empty Python program, `import lisa`, `lisa --help`, and `lisa segment` with
        lisa-nano: once with an empty cache, into which it converts the language model, and then
        with that cache; "to_mask_plain" uses the language model as transformers builds it, and
        "to_mask_collecting" searches for cyclic garbage as Python does by itself.

    Raises:
        DataError: If a command fails.
    """
    with tempfile.TemporaryDirectory(prefix="lisa-speed-") as name:
        folder = Path(name)
        picture = folder / "scene.png"
        demo_picture().save(picture)
        segment = [
            "-c", _COMMAND, "segment", str(picture), _QUESTION, "--out", str(folder / "out"),
            "--offline", "--device", "cpu",
        ]  # fmt: skip
        cached = {"LISA_CACHE": name}
        first = seconds(lambda: _run(segment, cached))
        commands = {
            "python": (["-c", ""], cached),
            "import_lisa": (["-c", "import lisa"], cached),
            "help": (["-c", _COMMAND, "--help"], cached),
            "to_mask": (segment, cached),
            "to_mask_plain": ([*segment, "--no-packed-weights"], cached),
            "to_mask_collecting": (segment, {**cached, "LISA_COLLECT_GARBAGE": "1"}),
        }
        ways = [lambda one=one: seconds(lambda: _run(*one)) for one in commands.values()]
        taken = in_turns(ways, ROUNDS)
    found = {name: Measurement.of(one, "s") for name, one in zip(commands, taken, strict=True)}
    return {**found, "to_mask_with_empty_cache": Measurement.of([first], "s")}


def _run(arguments: list[str], variables: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DataError(f"a command that was to be timed failed: {done.stderr.strip()}")
