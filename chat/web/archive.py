"""A session as one zip file: written for a download, and read again with suspicion."""

from __future__ import annotations

import io
import re
import struct
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from chat.session import ChatSession
from chat.storage import SESSION_FILE
from lisa.errors import DataError

_NAME = re.compile(r"(?:picture|mask)_\d{1,6}_[0-9a-f]{16}\.png")
_PNG_HEAD = struct.Struct(">8s4s4sII")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What reading a zip file raises that was cut off or made by hand."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class ArchiveLimits:
    """How much a saved session may hold that somebody uploads.

    Attributes:
        bytes: Of the zip file.
        files: In it.
        unpacked_bytes: Of all files together.
        json_bytes: Of session.json.
        pixels: Of all pictures and masks together.
    """

    bytes: int = 60_000_000
    files: int = 1500
    unpacked_bytes: int = 120_000_000
    json_bytes: int = 8_000_000
    pixels: int = 300_000_000


def pack_session(session: ChatSession) -> bytes:
    """Return a session as the bytes of a zip file.

    Raises:
        ConfigError: The disk is full.
    """
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="lisa_session_") as folder:
        saved = session.save(folder)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(saved.iterdir()):
                archive.write(path, path.name)
    return packed.getvalue()


def unpack_session(data: bytes, folder: Path, limits: ArchiveLimits) -> None:
    """Write the files of a saved session into a folder; nothing is written outside of it.

    Args:
        data: Of the zip file.
        folder: An empty one.
        limits: Are checked before anything is unpacked, and again while it is.

    Raises:
        DataError: If it is no saved session, too large, or was made to do harm.
    """
    if len(data) > limits.bytes:
        raise _refused(f"it has {len(data):,} bytes, above the limit of {limits.bytes:,}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_entries(entries, limits)
            pixels = 0
            for entry in entries:
                with archive.open(entry) as file:
                    content = file.read(entry.file_size + 1)
                if len(content) > entry.file_size:
                    raise _refused(f"{entry.filename} is longer than it says")
                if entry.filename != SESSION_FILE:
                    pixels += _count_pixels(content)
                if pixels > limits.pixels:
                    raise _refused(f"its pictures have more than {limits.pixels:,} pixels")
                (folder / entry.filename).write_bytes(content)
    except _BROKEN as error:
        raise _refused("it is no whole zip file") from error
    except OSError as error:
        raise _refused("it cannot be unpacked, perhaps because the disk is full") from error


def _check_entries(entries: list[zipfile.ZipInfo], limits: ArchiveLimits) -> None:
    names = [entry.filename for entry in entries]
    if SESSION_FILE not in names:
        raise _refused(f"it has no {SESSION_FILE}")
    if len(names) > limits.files or len(set(names)) != len(names):
        raise _refused("it has too many files, or one twice")
    for entry in entries:
        known = entry.filename == SESSION_FILE or _NAME.fullmatch(entry.filename)
        # `orig_filename` is what stands in the file; zipfile cuts it at a NUL.
        if not known or entry.orig_filename != entry.filename:
            raise _refused(f"it has a file {entry.filename[:60]!r}, which no session has")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
            raise _refused("its files are packed in an unusual way")
        if entry.filename == SESSION_FILE and entry.file_size > limits.json_bytes:
            raise _refused(f"its {SESSION_FILE} has more than {limits.json_bytes:,} bytes")
    if sum(entry.file_size for entry in entries) > limits.unpacked_bytes:
        raise _refused(f"it unpacks to more than {limits.unpacked_bytes:,} bytes")


def _count_pixels(content: bytes) -> int:
    """Return how many pixels a PNG says it has, before anybody decodes it."""
    if len(content) < _PNG_HEAD.size:
        raise _refused("one of its pictures is no PNG")
    magic, _, kind, width, height = _PNG_HEAD.unpack_from(content)
    if magic != b"\x89PNG\r\n\x1a\n" or kind != b"IHDR":
        raise _refused("one of its pictures is no PNG")
    return int(width) * int(height)


def _refused(reason: str) -> DataError:
    return DataError(f"this is no saved session that can be opened: {reason}.")
