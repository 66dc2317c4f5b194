"""Loads a released checkpoint in a process of its own and prints what memory that took, as JSON.

Run by `test_memory.py`: `python measure_loading.py WARM_UP_ROOT ROOT DTYPE`, each root with the
folders `checkpoint` and `tower`; DTYPE "stored" keeps what is stored.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from pathlib import Path

from lisa.models import LisaModel
from lisa.released import load_released


def anonymous_bytes() -> int:
    """Memory of this process that no file stands behind."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this kernel does not report RssAnon")


class Peak(threading.Thread):
    """Samples the anonymous memory every few milliseconds and keeps the highest value."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.highest = 0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.002):
            self.highest = max(self.highest, anonymous_bytes())

    def stop(self) -> int:
        self._done.set()
        self.join()
        return max(self.highest, anonymous_bytes())


def load(root: Path, dtype: str) -> LisaModel:
    chosen = None if dtype == "stored" else dtype
    return load_released(
        root / "checkpoint", vision_tower=root / "tower", dtype=chosen, segmenter_dtype=chosen
    )[0]


def main(warm_up: Path, root: Path, dtype: str) -> None:
    load(warm_up, dtype)  # imports and caches of the libraries are no part of the model
    gc.collect()
    before = anonymous_bytes()
    peak = Peak()
    peak.start()
    model = load(root, dtype)
    extra = peak.stop() - before
    size = sum(t.nbytes for t in [*model.parameters(), *model.buffers()])
    print(json.dumps({"model_bytes": size, "peak_bytes": extra}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
