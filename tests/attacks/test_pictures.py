"""Pictures that are sent to do harm: each is refused in a sentence, within memory and time."""

from __future__ import annotations

import base64
import gzip
import io
import pickle
import struct
import subprocess
import sys
import time
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from chat.safety.limits import SafetyLimits
from chat.safety.pictures import open_data_url, open_upload
from lisa.errors import ImageError
from tests.unit.odd_files import file_bytes, photo, png_with_size, truncated

LIMITS = SafetyLimits()
KINDS = "PNG, JPEG, WebP, GIF, BMP or TIFF"

# Opens what standard input brings, in a process that may take little memory beyond what its imports
# took; prints what came of it.
_GUARDED = """
import resource, sys
from chat.safety.limits import SafetyLimits
from chat.safety.pictures import open_upload
from lisa.errors import ImageError
open_upload(open(sys.argv[1], "rb").read(), SafetyLimits())
data = sys.stdin.buffer.read()
pages = int(open("/proc/self/statm").read().split()[0])
room = pages * resource.getpagesize() + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (room, room))
try:
    print("opened", *open_upload(data, SafetyLimits()).size)
except ImageError as error:
    print("refused", error)
"""


def opened_within(data: bytes, room: int, tmp_path) -> str:
    """What comes of opening a file with `room` bytes of memory."""
    if not sys.platform.startswith("linux"):
        pytest.skip("limits of memory are Linux's")
    harmless = tmp_path / "harmless.png"
    harmless.write_bytes(file_bytes(photo(), "PNG"))
    done = subprocess.run(
        [sys.executable, "-c", _GUARDED, harmless, str(room)],
        input=data,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(chunks: list[bytes], *, late: bool = False) -> bytes:
    """A small PNG with more chunks, before its pixels or behind them."""
    whole = file_bytes(photo(), "PNG")
    place = whole.index(b"IEND" if late else b"IDAT") - 4
    return whole[:place] + b"".join(chunks) + whole[place:]


def packed_zeros(length: int, repeats: int) -> bytes:
    """What `length * repeats` zeros are packed to, made in the time that `length` takes."""
    packer = zlib.compressobj(9)
    first = packer.compress(bytes(length)) + packer.flush(zlib.Z_FULL_FLUSH)
    more = packer.compress(bytes(length)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = (length * repeats % 65_521) << 16 | 1
    return first + more * (repeats - 1) + b"\x03\x00" + struct.pack(">I", checksum)


def zero_png(width: int, height: int) -> bytes:
    """A complete PNG of black pixels, a thousandth of their size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", packed_zeros((1 + width * 3) * 10, height // 10))
        + png_chunk(b"IEND", b"")
    )


def tiff(width: int, height: int, strip: bytes, compression: int) -> bytes:
    """A grey TIFF of one strip, whatever that holds."""
    fields = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, compression),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(strip)),
    ]
    directory = struct.pack("<H", len(fields))
    for tag, kind, value in fields:
        directory += struct.pack("<HHI", tag, kind, 1)
        directory += struct.pack(
            "<HH" if kind == 3 else "<I", *((value, 0) if kind == 3 else (value,))
        )
    place = 8 + len(strip) + len(strip) % 2
    return (
        b"II*\0"
        + struct.pack("<I", place)
        + strip.ljust(place - 8, b"\0")
        + directory
        + struct.pack("<I", 0)
    )


# --- More than it looks like --------------------------------------------------------------------


def test_decompression_bomb(tmp_path):
    small = zero_png(100, 100)
    assert np.array_equal(np.asarray(open_upload(small, LIMITS)), np.zeros((100, 100, 3)))
    bomb = zero_png(10_000, 10_000)
    assert len(bomb) < 500_000
    said = opened_within(bomb, 100_000_000, tmp_path)
    assert said.startswith("refused") and "10000 x 10000 pixels" in said


def test_a_picture_of_the_largest_size_and_depth(tmp_path):
    """It may be opened, but not cost its size many times over."""
    grey = Image.new("I;16", (8_000, 5_000), 40_000)
    assert opened_within(file_bytes(grey, "PNG"), 800_000_000, tmp_path) == "opened 8000 5000\n"


@pytest.mark.parametrize(("width", "height"), [(2**31 - 1, 1), (60_000, 60_000), (6_400, 6_400)])
def test_header_that_claims_too_much(width: int, height: int):
    with pytest.raises(ImageError, match="above the limit of 40,000,000"):
        open_upload(png_with_size(width, height), LIMITS)


def test_picture_that_is_only_long():
    ribbon = file_bytes(Image.new("L", (12_001, 1)), "PNG")
    with pytest.raises(ImageError, match=r"12001 x 1 pixels, above the limit of 12,000 for a side"):
        open_upload(ribbon, LIMITS)


@pytest.mark.parametrize("late", [False, True], ids=["before", "behind"])
def test_text_that_unpacks_to_gigabytes(late: bool, tmp_path):
    packed = zlib.compress(bytes(900_000))
    text = png_chunk(b"zTXt", b"k\0\0" + packed)
    said = opened_within(png_with([text] * 2_000, late=late), 300_000_000, tmp_path)
    assert said.startswith("refused")


def test_colour_profile_that_unpacks_to_gigabytes(tmp_path):
    bomb = png_with([png_chunk(b"iCCP", b"name\0\0" + packed_zeros(1 << 20, 1_000))])
    # The profile is passed over or the file refused; it is never unpacked whole.
    assert opened_within(bomb, 300_000_000, tmp_path).split()[0] in {"opened", "refused"}


def test_tiff_strip_that_unpacks_to_gigabytes(tmp_path):
    strip = packed_zeros(1 << 20, 1_000)
    said = opened_within(tiff(64, 64, strip, compression=8), 300_000_000, tmp_path)
    assert said in {"opened 64 64\n"} or said.startswith("refused")


def test_tiff_that_claims_too_much():
    with pytest.raises(ImageError, match="above the limit of 40,000,000"):
        open_upload(tiff(50_000, 50_000, b"\0" * 64, compression=1), LIMITS)


def test_gif_frame_larger_than_its_screen():
    gif = bytearray(file_bytes(photo(8, 8).convert("P"), "GIF"))
    place = gif.index(b"\x2c")
    gif[place + 5 : place + 9] = struct.pack("<HH", 65_535, 65_535)
    with pytest.raises(ImageError, match="above the limit of 40,000,000"):
        open_upload(bytes(gif), LIMITS)


def test_jpeg_with_thousands_of_passes():
    whole = file_bytes(photo(64, 64), "JPEG", progressive=True)
    assert open_upload(whole, LIMITS).size == (64, 64)
    last = whole.rindex(b"\xff\xda")
    bomb = whole[:-2] + whole[last:-2] * 5_000 + whole[-2:]
    with pytest.raises(ImageError, match=r"decoded in 5,\d+ passes, above the limit of 200"):
        open_upload(bomb, LIMITS)


def test_animation_without_end():
    """Only its first frame is decoded, so it costs what one picture costs."""
    frames = [photo(32, 32, seed).convert("P") for seed in range(2)] * 200
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    begin = time.perf_counter()
    assert open_upload(file.getvalue(), LIMITS).size == (32, 32)
    assert time.perf_counter() - begin < 1


def test_upload_that_is_too_long():
    small = SafetyLimits(upload_bytes=1_000)
    with pytest.raises(ImageError, match=r"1,001 bytes, above the limit of 1,000"):
        open_upload(file_bytes(photo(), "PNG").ljust(1_001, b"\0")[:1_001], small)


# --- Something else than it says ----------------------------------------------------------------


class Trap:
    """Unpickling it would be seen."""

    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("picture.png", bytes(10_000_000))
    return file.getvalue()


OTHERS = {
    "pickle": pickle.dumps(Trap()),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "html": b"<!doctype html><script>alert(1)</script>",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\nshowpage\n",
    "pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
    "zip": zipped(),
    "gzip": gzip.compress(file_bytes(photo(), "PNG")),
    "ppm": b"P6 4 4 255\n" + bytes(48),
    "jpeg 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(64),
    "numpy": b"\x93NUMPY\x01\x00" + bytes(64),
    "nothing": b"",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_in_a_picture_s_name(name: str):
    url = "data:image/png;base64," + base64.b64encode(OTHERS[name]).decode()
    with pytest.raises(ImageError, match=KINDS):
        open_data_url(url, LIMITS)
    assert not Trap.sprung


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_two_files_in_one(kind: str):
    """What is also an archive or a page is read as a picture, and nothing else of it is kept."""
    whole = file_bytes(photo(), kind)
    image = open_upload(whole + b"<script>alert(1)</script>" + zipped(), LIMITS)
    assert np.array_equal(np.asarray(image), np.asarray(open_upload(whole, LIMITS)))
    assert image.info == {}


@pytest.mark.parametrize("name", dict(truncated()))
def test_files_that_are_cut_off(name: str):
    with pytest.raises(ImageError, match=r"damaged|not a picture"):
        open_upload(dict(truncated())[name], LIMITS)


# --- Data URLs ----------------------------------------------------------------------------------

GOOD = base64.b64encode(file_bytes(photo(), "PNG")).decode()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"data:image/png;base64,{GOOD[:-3]}", "not valid base64"),
        (f"data:image/png;base64,{GOOD[:40]}\n{GOOD[40:]}", "not valid base64"),
        (f"data:image/png;base64,{GOOD[:40]}é{GOOD[41:]}", "not valid base64"),
        ("data:image/png;base64,", KINDS),
        (f"data:image/png,{GOOD}", "malformed"),
        (f"data:text/html;base64,{GOOD}", "malformed"),
        ("data:image/svg+xml,<svg/>", "malformed"),
        ("data:" + "a" * 10_000, "malformed"),
        ("data:image/png" + ";a=b" * 10_000 + ";base64,", "malformed"),
    ],
    ids=["cut", "newline", "umlaut", "empty", "plain", "html", "svg", "no comma", "many words"],
)
def test_data_urls_that_are_none(url: str, words: str):
    with pytest.raises(ImageError, match=words):
        open_data_url(url, LIMITS)


def test_base64_bomb_is_measured_before_it_is_decoded(monkeypatch):
    def decode(*args, **kwargs):
        raise AssertionError("decoded")

    monkeypatch.setattr(base64, "b64decode", decode)
    with pytest.raises(ImageError, match=r"bytes, above the limit of 20,000,000"):
        open_data_url("data:image/png;base64," + "A" * 26_666_672, LIMITS)
