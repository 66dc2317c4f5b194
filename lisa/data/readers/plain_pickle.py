"""Reads the pickles that data sets are released as, without running what is in them.

A pickle is a program: it may name any function of any module and have it called. This unpickler
finds no function at all, so what is left of the language can only build containers, numbers and
text. A hostile file can still be large or ask for much memory; it cannot run code.
"""

from __future__ import annotations

import codecs
import io
import pickle
from pathlib import Path
from typing import Any

from lisa.data.readers.plain_arrays import array_builder
from lisa.errors import DataError

_NOT_UTF8 = "lisa-latin-1-where-not-utf-8"

# What a stream of bytes that is no pickle, or is cut off, makes the machine raise.
_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)


class _RefusedError(Exception):
    """The file asks for something that is not plain."""


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, arrays: bool) -> None:
        # Python 2 wrote bytes where Python 3 has text, and most of what it wrote is ASCII.
        super().__init__(io.BytesIO(data), encoding="utf-8", errors=_NOT_UTF8)
        self._arrays = arrays

    def find_class(self, module: str, name: str) -> Any:
        builder = array_builder(module, name) if self._arrays else None
        if builder is None:
            raise _RefusedError(f"{module}.{name}")
        return builder

    def persistent_load(self, pid: Any) -> Any:
        raise _RefusedError("an object outside the file")


def read_plain_pickle(path: Path, *, arrays: bool = False) -> Any:
    """Read a pickle of any protocol that holds only containers, numbers, text, bytes and None.

    Byte strings of Python 2 become text: UTF-8, and Latin-1 where they are no UTF-8.

    Args:
        path: Of the file.
        arrays: Whether arrays and scalars of numpy are admitted too; they come as lists and
            numbers, made without numpy's own unpickling.

    Raises:
        DataError: If the file is not there, is damaged, or names a class or a function; nothing
            that it names is looked up.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"there is no file {str(path)!r}: check the folder.") from error
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}.") from error
    try:
        return _PlainUnpickler(data, arrays).load()
    except _RefusedError as error:
        raise DataError(
            f"{str(path)!r} is a pickle that asks for {error}: only plain containers, numbers and "
            "text are read, because anything else can run code; get the released file again, or "
            "save the data as JSON."
        ) from error
    except _DAMAGE as error:
        raise DataError(
            f"{str(path)!r} is no plain pickle ({type(error).__name__}: {str(error):.120}): it is "
            "damaged or cut off, get it again."
        ) from error


def _decode_latin_1(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_NOT_UTF8, _decode_latin_1)
