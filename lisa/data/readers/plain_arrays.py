"""Turns numpy's arrays and scalars in a pickle into lists and numbers, without numpy's unpickling.

A pickled array is a few calls: make an empty array, make a number type, set the array's state to
shape, type and bytes. Here each of these calls reaches a stand-in that takes whole, real and
boolean numbers only. The stand-ins have no attributes to set, so a file cannot change them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_CODE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


class _NumberType:
    """Stands for a `numpy.dtype` of numbers."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise ValueError(f"an array of {code!r:.40} is not one of numbers")
        self._code = code.lstrip("<>|=")
        self._order = "<"

    def __setstate__(self, state: Any) -> None:
        _, order, inner, names, fields, *_ = state
        if order not in ("<", ">", "|", "=") or (inner, names, fields) != (None, None, None):
            raise ValueError("an array of records is not one of numbers")
        self._order = "<" if order in "|=" else order

    def read(self, data: bytes, shape: tuple[int, ...], by_columns: bool) -> Any:
        kind = np.dtype(self._order + self._code)
        if not isinstance(data, bytes | bytearray) or len(data) != kind.itemsize * math.prod(shape):
            raise ValueError("an array's bytes do not fill its shape")
        values = np.frombuffer(bytes(data), kind)
        return values.reshape(shape, order="F" if by_columns else "C").tolist()


class _Array(list[Any]):
    """Stands for a `numpy.ndarray` of one dimension or more."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_columns, data = state
        self[:] = _values(data, kind, shape, by_columns)


def _values(data: Any, kind: Any, shape: Any, by_columns: bool) -> Any:
    whole = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not whole or not shape or not isinstance(kind, _NumberType):
        raise ValueError("an array has no shape or no number type")
    return kind.read(data, shape, by_columns)


class _ArrayType:
    """Stands for the class `numpy.ndarray`, which is named but never called."""

    __slots__ = ()


class _Builder:
    """A function that has no attributes of its own."""

    __slots__ = ("_call",)
    _call: Callable[..., Any]

    def __init__(self, call: Callable[..., Any]) -> None:
        object.__setattr__(self, "_call", call)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a file tries to set {name!r}")

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)


def _scalar(kind: _NumberType, data: bytes) -> Any:
    return _values(data, kind, (1,), False)[0]


def _from_buffer(data: Any, kind: _NumberType, shape: tuple[int, ...], order: str) -> list[Any]:
    return _Array(_values(data, kind, shape, order == "F"))


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"bytes in {encoding!r:.40} are not known")
    return text.encode("latin-1")


_BUILDERS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ArrayType(),
    ("numpy", "dtype"): _Builder(_NumberType),
    # Python 3 writes bytes as calls where Python 2 must be able to read them.
    ("_codecs", "encode"): _Builder(_encode),
    ("__builtin__", "bytes"): _Builder(lambda: b""),
}
for _core in ("numpy.core", "numpy._core"):  # numpy 2 renamed it
    _BUILDERS[f"{_core}.multiarray", "_reconstruct"] = _Builder(lambda *_: _Array())
    _BUILDERS[f"{_core}.multiarray", "scalar"] = _Builder(_scalar)
    _BUILDERS[f"{_core}.numeric", "_frombuffer"] = _Builder(_from_buffer)


def array_builder(module: str, name: str) -> Any:
    """Return what stands for a function or class of numpy in a pickle; None for any other name."""
    return _BUILDERS.get((module, name))
