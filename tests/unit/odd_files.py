"""Makers of damaged and odd picture files, ten or more of each kind, and of good ones."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image


def photo(width: int = 60, height: int = 40, seed: int = 0) -> Image.Image:
    """A smooth coloured picture without symmetry, so that every rotation of it differs."""
    rows, columns = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed).integers(0, 8, (height, width))
    red = columns * 200 // max(width - 1, 1)
    green = rows * 200 // max(height - 1, 1)
    return Image.fromarray(np.stack([red, green, 40 + noise], axis=-1).astype(np.uint8))


def file_bytes(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_with_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size and whose data is a few bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in [
            (b"IHDR", header),
            (b"IDAT", zlib.compress(b"\0" * 64)),
            (b"IEND", b""),
        ]
    )


def truncated() -> Iterator[tuple[str, bytes]]:
    """Pictures cut off in the middle of their data or header."""
    whole = {
        "JPEG": file_bytes(photo(200, 150), "JPEG"),
        "PNG": file_bytes(photo(200, 150), "PNG"),
        "WEBP": file_bytes(photo(200, 150), "WEBP"),
        "GIF": file_bytes(photo(200, 150), "GIF"),
        "BMP": file_bytes(photo(200, 150), "BMP"),
        "TIFF": file_bytes(photo(200, 150), "TIFF"),
    }
    for kind, data in whole.items():
        for share in (0.02, 0.3, 0.7):
            yield f"{kind.lower()}-{share}", data[: max(4, int(len(data) * share))]


def flipped() -> Iterator[tuple[str, bytes]]:
    """Files with the right beginning and random bytes behind it."""
    rng = np.random.default_rng(7)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF"):
        data = file_bytes(photo(), kind)
        for keep in (8, 20, 40):
            yield f"{kind.lower()}-{keep}", data[:keep] + rng.bytes(len(data) - keep)


def texts() -> Iterator[tuple[str, bytes]]:
    """What is no picture at all but carries a picture's name."""
    yield "plain", b"hello, this is a text"
    yield "json", b'{"image": "a.jpg"}'
    yield "html", b"<!doctype html><html><body>404 not found</body></html>"
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'
    yield "python", b"import os\nos.remove('x')\n"
    yield "utf16", "ein Bild".encode("utf-16")
    yield "newline", b"\n"
    yield "zeros", b"\0" * 4096
    yield "ones", b"\xff" * 4096
    yield "pdf", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
    yield "postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
    yield "zip", b"PK\x03\x04" + b"\0" * 60
    yield "elf", b"\x7fELF" + b"\0" * 60
    yield "pickle", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00."
    yield "lfs pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"


def empty() -> Iterator[tuple[str, bytes]]:
    """Nothing, or a header that says that there is nothing."""
    yield "no bytes", b""
    for width, height in ((0, 0), (0, 5), (5, 0)):
        yield f"png {width}x{height}", png_with_size(width, height)
        yield f"gif {width}x{height}", b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;"
        size = struct.pack("<ii", width, height)
        header = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<I", 40) + size
        yield f"bmp {width}x{height}", header + struct.pack("<HHIIIIII", 1, 24, 0, 0, 0, 0, 0, 0)
        yield f"ppm {width}x{height}", f"P6 {width} {height} 255\n".encode()
    yield "ppm without data", b"P6 4 4 255\n"


def huge() -> Iterator[tuple[str, bytes]]:
    """Small files that claim more pixels than anyone may ask for."""
    sizes = [(10_000, 10_000), (30_000, 30_000), (100_000, 1_000), (1_000, 100_000)]
    for width, height in [*sizes, (2_000_000, 100), (60_000, 60_000)]:
        yield f"png {width}x{height}", png_with_size(width, height)
        yield f"ppm {width}x{height}", f"P6 {width} {height} 255\n".encode() + b"\0" * 30
    yield "gif", b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\0\0\0" + b"\x2c" + b"\0" * 20


def exif_rotated(orientation: int, kind: str = "JPEG") -> bytes:
    """`photo()`, stored so that a reader which follows the EXIF note sees it upright."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = photo() if orientation not in undo else photo().transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True}
    return file_bytes(stored, kind, exif=exif, **(lossless if kind != "PNG" else {}))


DAMAGED = {
    "truncated": dict(truncated()),
    "flipped": dict(flipped()),
    "text": dict(texts()),
    "empty": dict(empty()),
    "huge": dict(huge()),
}


def damaged_cases() -> list[tuple[str, str]]:
    """(kind, name) of every damaged file."""
    return [(kind, name) for kind, files in DAMAGED.items() for name in files]
