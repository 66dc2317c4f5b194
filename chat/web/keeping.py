"""What somebody takes home from a session: its masks, its JSON, a report, the session itself."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image

from chat.report import write_report
from chat.session import ChatSession
from chat.state import SessionSegment
from chat.web.archive import pack_session
from lisa.errors import DataError


class Kept(NamedTuple):
    """A file for a download.

    Attributes:
        name: Of letters, digits, "_" and ".".
        content: Its bytes.
    """

    name: str
    content: bytes


def masks_file(session: ChatSession) -> Kept:
    """Return all masks as PNG files in a zip file; white is the segment.

    Raises:
        DataError: If there is none.
    """
    if not session.segments:
        raise DataError("there are no masks yet: ask for something, or point at it.")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for segment in session.segments:
            drawn = io.BytesIO()
            mask = segment.segment.mask.astype(np.uint8) * 255
            Image.fromarray(mask).convert("1").save(drawn, "PNG")
            archive.writestr(_mask_name(segment), drawn.getvalue())
    return Kept("lisa_masks.zip", packed.getvalue())


def _mask_name(segment: SessionSegment) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", (segment.what or "").lower()).strip("_")
    parts = (f"picture_{segment.picture}", f"segment_{segment.name[1:]}", words[:40])
    return "_".join(part for part in parts if part) + ".png"


def json_file(session: ChatSession) -> Kept:
    """Return all of the session as JSON, masks as COCO run lengths."""
    _check_any(session)
    text = json.dumps(session.describe(), indent=1, ensure_ascii=False)
    return Kept("lisa_session.json", text.encode())


def report_file(session: ChatSession) -> Kept:
    """Return the session as a page that can be read without the program."""
    _check_any(session)
    return Kept("lisa_report.html", write_report(session.state).encode())


def session_file(session: ChatSession) -> Kept:
    """Return the session as a zip file that can be opened again."""
    _check_any(session)
    return Kept("lisa_session.zip", pack_session(session))


def _check_any(session: ChatSession) -> None:
    if not session.pictures:
        raise DataError("there is nothing to keep yet: add a picture first.")


KEEPERS: Mapping[str, Callable[[ChatSession], Kept]] = {
    "Masks": masks_file,
    "JSON": json_file,
    "Report": report_file,
    "Session": session_file,
}
"""What can be kept, by the words on its button."""
