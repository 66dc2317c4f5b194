"""Opens pictures that strangers send: bytes and data URLs, within bounds that are checked first."""

from __future__ import annotations

import base64
import binascii
import re

from PIL import Image

from chat.safety.limits import SafetyLimits
from lisa.errors import ImageError
from lisa.images import open_image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Kinds that people send. Fewer than `lisa.images` opens: each decoder is a door."""

_HEAD = re.compile(r"data:(image/[a-z0-9.+-]{1,40})?((?:;[a-z0-9=.+-]{1,60}){0,4}),", re.IGNORECASE)
_HEAD_CHARACTERS = 300
_JPEG = b"\xff\xd8"
_TIFF = (b"II*\0", b"MM\0*")
_SCAN = b"\xff\xda"


def open_upload(data: bytes, limits: SafetyLimits) -> Image.Image:
    """Open the bytes of a picture file.

    What the file says of itself decides, not a name or a content type that came with it.

    Args:
        data: The whole file.
        limits: Bounds on bytes, pixels (by the header, before anything is decoded) and sides.

    Returns:
        RGB, upright; the first frame of an animation.

    Raises:
        ImageError: If it is too large, damaged, or of a kind that is not in `FORMATS`.
    """
    if len(data) > limits.upload_bytes:
        raise ImageError(_too_many_bytes(f"{len(data):,}", limits))
    _check_scans(data, limits)
    image = open_image(data, max_pixels=limits.pixels, formats=FORMATS)
    if max(image.size) > limits.side:
        raise ImageError(
            f"the picture is {image.width} x {image.height} pixels, above the limit of "
            f"{limits.side:,} for a side: cut it into pieces."
        )
    return image


def open_data_url(url: str, limits: SafetyLimits) -> Image.Image:
    """Open a picture written as a data URL, `data:image/png;base64,...`.

    Args:
        url: The whole URL; only base64 is read.
        limits: As for `open_upload`; the length is checked before base64 is decoded.

    Returns:
        RGB, upright; the first frame of an animation.

    Raises:
        ImageError: If the URL is malformed or its picture is refused.
    """
    head = _HEAD.match(url[:_HEAD_CHARACTERS])
    if head is None or not head.group(2).lower().endswith(";base64"):
        raise ImageError("the data URL is malformed: write data:image/png;base64,... .")
    length = len(url) - head.end()
    # Four characters carry three bytes, so nothing of a URL that is too long need be decoded.
    if length > (limits.upload_bytes + 2) // 3 * 4:
        raise ImageError(_too_many_bytes(f"about {length // 4 * 3:,}", limits))
    try:
        data = base64.b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(
            "the data URL is not valid base64: encode the bytes of the file again."
        ) from error
    return open_upload(data, limits)


def _too_many_bytes(size: str, limits: SafetyLimits) -> str:
    return (
        f"the picture has {size} bytes, above the limit of {limits.upload_bytes:,}: "
        "scale it down first."
    )


def _check_scans(data: bytes, limits: SafetyLimits) -> None:
    """Refuse a JPEG that is decoded for minutes.

    A pass of a progressive JPEG may be a hundred bytes long and still visits every pixel. Inside
    of compressed JPEG data the mark of a pass cannot occur by chance; in a TIFF, which may hold a
    JPEG, it can, once in 65,536 bytes.
    """
    if data.startswith(_JPEG):
        allowed = limits.scans
    elif data.startswith(_TIFF):
        allowed = limits.scans + len(data) // 20_000
    else:
        return
    found = data.count(_SCAN)
    if found > allowed:
        raise ImageError(
            f"the picture is decoded in {found:,} passes, above the limit of {allowed:,}: save it "
            "as a baseline JPEG or as PNG."
        )
