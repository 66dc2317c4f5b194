"""Writes pickles as Python 2 did: ASCII text as byte strings, protocol 0."""

from __future__ import annotations

import io
import pickle
from typing import Any


class _Python2Pickler(pickle._Pickler):
    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, text: str) -> None:
        if not text.isascii():
            self.save_str(text)
            return
        self.write(b"S" + repr(text).encode("ascii") + b"\n")
        self.memoize(text)

    dispatch[str] = save_string


def python2_pickle(content: Any) -> bytes:
    file = io.BytesIO()
    _Python2Pickler(file, protocol=0).dump(content)
    return file.getvalue()
