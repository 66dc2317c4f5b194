"""What holds for every test."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def garbage_stays_garbage() -> Iterator[None]:
    """Bring back into searches for garbage what a command left out of them for good."""
    yield
    gc.unfreeze()
