"""Checkpoints as LISA's authors published them: loading, converting, their full-size layouts."""

from __future__ import annotations

from lisa.released.config import is_released_layout
from lisa.released.convert import convert
from lisa.released.layouts import RELEASED_LAYOUTS, full_size_config, full_size_model
from lisa.released.loader import load_released

__all__ = [
    "RELEASED_LAYOUTS",
    "convert",
    "full_size_config",
    "full_size_model",
    "is_released_layout",
    "load_released",
]
