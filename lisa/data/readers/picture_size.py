"""The size of a picture as `lisa.images.open_image` will show it, from its header alone."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import ExifTags, Image

from lisa.errors import DataError
from lisa.images import FORMATS, MAX_PIXELS
from lisa.types import ImageSize

_SIDEWAYS = (5, 6, 7, 8)  # EXIF's numbers for a camera held upright: width and height change places


def picture_size(source: Path | bytes) -> ImageSize:
    """Return the size of an upright picture without decoding it.

    A PNG that notes its rotation behind its pixels, which no camera writes, is measured as it
    lies; `lisa data check` decodes the picture and tells the difference.

    Args:
        source: A file, or the bytes of one.

    Raises:
        DataError: If there is no such file, it is no picture, or it is too large.
    """
    name = "the picture" if isinstance(source, bytes) else f"the picture {str(source)!r}"
    if not isinstance(source, bytes) and not source.is_file():
        raise DataError(f"{name} is not there: check the path.")
    Image.init()  # without it Pillow knows only its commonest kinds
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit, below, speaks instead
            file = io.BytesIO(source) if isinstance(source, bytes) else source
            with Image.open(file, formats=FORMATS) as image:
                width, height = image.size
                is_sideways = _orientation(image) in _SIDEWAYS
    except Exception as error:  # damaged headers make decoders raise anything
        raise DataError(f"{name} is none that can be read: get it again.") from error
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(
            f"{name} has {width} x {height} pixels, from 1 to {MAX_PIXELS:,} are read: scale it "
            "down first."
        )
    return ImageSize(width, height) if is_sideways else ImageSize(height, width)


def _orientation(image: Image.Image) -> int | None:
    if image.format == "TIFF":  # Pillow gives its size upright already
        return None
    try:
        # Not `image.getexif()`: for a PNG without such a note that decodes the whole picture.
        note = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - a damaged note about the camera must not cost the picture
        return None
    return note if isinstance(note, int) else None
