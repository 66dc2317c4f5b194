"""Opens a picture of any usual kind as 8-bit RGB, upright, or says in one sentence why it cannot.

This is the only door for pictures: command line, Python API, readers and servers all use it. It
opens files and bytes that are already here; it never follows an address, because a server that
fetches what its users name can be made to read what they should not.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, ImageOps

from lisa.errors import ImageError

ImageSource: TypeAlias = str | Path | bytes | Image.Image | NDArray[Any]

MAX_PIXELS = 178_956_970 // 2
# Kinds that people send; JPEG includes the multi-picture files of phones. Pillow opens more, some
# by starting other programs (PostScript).
_KINDS = {
    "JPEG": "JPEG",
    "PNG": "PNG",
    "WEBP": "WebP",
    "GIF": "GIF",
    "BMP": "BMP",
    "TIFF": "TIFF",
    "PPM": "PNM",
    "AVIF": "AVIF",
    "JPEG2000": "JPEG 2000",
}
FORMATS = tuple(_KINDS)

_BLOCK_VALUES = 1 << 20


def open_image(
    source: ImageSource,
    *,
    max_pixels: int = MAX_PIXELS,
    formats: tuple[str, ...] = FORMATS,
) -> Image.Image:
    """Opens a picture as upright 8-bit RGB.

    The rotation that a camera notes (EXIF) is carried out, transparency is laid over white, the
    first frame stands for an animated file, CMYK and LAB are converted, and numbers beyond 8 bits
    are scaled: 16-bit values by their full range, 32-bit integers and floats by the range that they
    use (see `_to_uint8`).

    Args:
        source: A path, the bytes of a file, a Pillow image, or an array `(H, W)`, `(H, W, 1)`,
            `(H, W, 3)` or `(H, W, 4)` of uint8, uint16, bool or floats in RGB(A) order.
        max_pixels: Pictures with more pixels are refused by their header, before decoding.
        formats: Kinds of files that may be opened, as Pillow calls them; a choice of `FORMATS`.

    Returns:
        A new RGB image without metadata; the source is left as it was.

    Raises:
        ImageError: There is no such file, it is no picture, it is damaged, empty or too large.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    if isinstance(source, Image.Image):
        return _decode(source, "the picture", max_pixels)
    name = "the picture" if isinstance(source, bytes) else f"{str(source)!r}"
    with io.BytesIO(source) if isinstance(source, bytes) else _open_file(source) as file:
        if not file.read(1):
            raise ImageError(f"{name} is an empty file: give a {_kinds(formats)} file.")
        file.seek(0)
        with _open_header(file, name, max_pixels, formats) as image:
            return _decode(image, name, max_pixels)


def _kinds(formats: tuple[str, ...]) -> str:
    *first, last = (_KINDS[name] for name in formats)
    return f"{', '.join(first)} or {last}" if first else last


def _open_file(source: str | Path) -> BinaryIO:
    if not isinstance(source, str | Path):
        raise ImageError(
            f"a picture must be a path, bytes, a Pillow image or an array, "
            f"not {type(source).__name__}."
        )
    if str(source).lower().startswith(("http://", "https://", "ftp://", "data:")):
        raise ImageError(
            f"{str(source)[:80]!r} is an address: download the picture and give its path."
        )
    try:
        path = Path(source).expanduser()
        if path.is_dir():
            raise ImageError(f"{str(source)!r} is a folder: give the path of one picture in it.")
        # Pipes and devices would be waited for, or read, for ever.
        if path.exists() and not path.is_file():
            raise ImageError(f"{str(source)!r} is not a regular file: give the path of a picture.")
        return path.open("rb")
    except FileNotFoundError as error:
        raise ImageError(f"there is no file {str(source)!r}: check the path.") from error
    except PermissionError as error:
        raise ImageError(f"{str(source)!r} may not be read: check its permissions.") from error
    except (OSError, ValueError, RuntimeError) as error:
        # A name with a NUL, one that is too long, a loop of links, an unknown ~user.
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise ImageError(f"{str(source)[:80]!r} cannot be read: {reason}.") from error


def _open_header(
    file: BinaryIO, name: str, max_pixels: int, formats: tuple[str, ...]
) -> ImageFile.ImageFile:
    Image.init()  # without it Pillow knows only the five commonest kinds until one of them fails
    try:
        with warnings.catch_warnings():
            # Our own limit, below, speaks instead of Pillow's warning; odd metadata is harmless.
            warnings.simplefilter("ignore")
            return Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        limit = min(max_pixels, 2 * MAX_PIXELS)
        raise ImageError(_too_large(name, "too many", limit)) from error
    except Exception as error:  # damaged headers make decoders raise anything
        raise ImageError(
            f"{name} is not a picture that can be read: give a {_kinds(formats)} file."
        ) from error


def _too_large(name: str, pixels: str, max_pixels: int) -> str:
    return f"{name} has {pixels} pixels, above the limit of {max_pixels:,}: scale it down first."


def _check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise ImageError(
            f"{name} is {width} x {height} pixels: a picture needs at least one pixel each way."
        )
    if width * height > max_pixels:
        raise ImageError(_too_large(name, f"{width} x {height}", max_pixels))


def _decode(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    _check_size(*image.size, name, max_pixels)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            rgb = _to_rgb(_upright(image))
    except Exception as error:  # damaged data makes decoders raise anything
        raise ImageError(
            f"{name} is damaged or cut off and cannot be decoded: save or download it again."
        ) from error
    _check_size(*rgb.size, name, max_pixels)
    rgb.info = {}
    return rgb


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - a damaged note about the camera must not cost the picture
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_to_uint8(np.asarray(image))).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None  # None only for in-place conversion
        return converted
    if image.mode == "La":  # Pillow leads from it to no other mode
        image = image.convert("LA")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scales numbers of more than 8 bits to [0, 255].

    16-bit integers use their full range, [0, 65535]. Wider integers and floats carry no range of
    their own: what fits in [0, 1] (floats), [0, 255], or [0, 65535] (integers) is taken to use
    that; anything else is stretched from its smallest to its largest value. Not-a-number is zero.
    """
    low, high = _range_of(values)
    scaled = np.empty(values.shape, np.uint8)
    # In blocks: as float64, a large picture would take sixteen times its memory at once.
    for numbers, place in _finite_blocks(values):
        numbers = (numbers - low) / max(high - low, 1e-12) * 255.0
        scaled[place] = np.clip(np.rint(numbers), 0, 255)
    return scaled


def _range_of(values: NDArray[Any]) -> tuple[float, float]:
    is_float = np.issubdtype(values.dtype, np.floating)
    if values.dtype.itemsize == 2 and not is_float:
        return 0.0, 65535.0
    blocks = [(float(some.min()), float(some.max())) for some, _ in _finite_blocks(values)]
    low, high = min(some for some, _ in blocks), max(some for _, some in blocks)
    if low >= 0 and is_float and high <= 1:
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    if low >= 0 and not is_float and high <= 65535:
        return 0.0, 65535.0
    return low, high


def _finite_blocks(values: NDArray[Any]) -> Iterator[tuple[NDArray[np.float64], slice]]:
    rows = max(1, _BLOCK_VALUES // max(1, values[0].size))
    for start in range(0, len(values), rows):
        place = slice(start, start + rows)
        some = values[place].astype(np.float64)
        yield np.nan_to_num(some, nan=0.0, posinf=0.0, neginf=0.0), place


def _from_array(array: NDArray[Any], max_pixels: int) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            f"an array of shape {array.shape} is not a picture: give (height, width), or "
            "(height, width, channels) with 1, 3 or 4 channels."
        )
    _check_size(array.shape[1], array.shape[0], "the array", max_pixels)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        if not np.issubdtype(array.dtype, np.integer) and not np.issubdtype(
            array.dtype, np.floating
        ):
            raise ImageError(
                f"an array of {array.dtype} is not a picture: give uint8, uint16 or floats."
            )
        array = _to_uint8(array)
    return _decode(Image.fromarray(np.ascontiguousarray(array)), "the array", max_pixels)
