"""Python's search for cyclic garbage, and when it only costs time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Leave garbage alone in the block.

    What importing torch and loading a model makes, a million objects, stays for good: looking
    through it again and again for something to free is an eighth of the time that both take.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
