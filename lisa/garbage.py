"""Python's search for cyclic garbage, and when it only costs time."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection(*, for_good: bool = False) -> Iterator[None]:
    """Leave garbage alone in the block.

    What importing torch and loading a model makes, a million objects, stays for good: looking
    through it again and again for something to free is a tenth of the time that both take.
    `LISA_COLLECT_GARBAGE=1` in the environment lets Python search as ever, to compare.

    Args:
        for_good: Leave it alone behind the block, too, where a last search would take as long as
            half an answer: for what is done once in a process that ends soon.
    """
    if os.environ.get("LISA_COLLECT_GARBAGE") == "1":
        yield
        return
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if for_good:
            gc.freeze()
        if was_on:
            gc.enable()
