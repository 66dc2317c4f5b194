from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from lisa.errors import ImageError
from lisa.images import MAX_PIXELS, open_image
from tests.unit.odd_files import DAMAGED, damaged_cases, exif_rotated, file_bytes, photo


def far(first: Image.Image, second: Image.Image) -> float:
    """Mean difference of two pictures of one size, in 8-bit steps."""
    assert first.size == second.size
    return float(np.abs(np.asarray(first, float) - np.asarray(second, float)).mean())


# --- Damaged files get one sentence -------------------------------------------------------------


def test_ten_of_each_kind():
    assert all(len(files) >= 10 for files in DAMAGED.values())


@pytest.mark.parametrize(("kind", "name"), damaged_cases())
@pytest.mark.parametrize("as_file", [True, False])
def test_damaged_file_gives_a_sentence(kind: str, name: str, as_file: bool, tmp_path: Path):
    data = DAMAGED[kind][name]
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    try:
        image = open_image(path if as_file else data)
    except ImageError as error:
        message = str(error)
        assert message.endswith(".")
        assert ": " in message
        assert "\n" not in message
        if kind == "huge":
            assert f"{MAX_PIXELS:,}" in message
    else:
        # Random bytes can still be a picture (of noise); everything else must be refused.
        assert kind == "flipped"
        assert image.mode == "RGB"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere/picture.jpg", "no file"),
        ("https://example.org/a.jpg", "download"),
        ("data:image/png;base64,AAAA", "address"),
        ("nul\0byte.png", "cannot be read"),
        ("x" * 5000 + ".png", "cannot be read"),
        ("/dev/null", "regular file"),
        ("~nobody-of-that-name/a.png", "cannot be read"),
        ("", "folder"),
        (3, "int"),
        (None, "NoneType"),
    ],
)
def test_bad_path_gives_a_sentence(source: object, words: str):
    with pytest.raises(ImageError, match=words):
        open_image(source)  # type: ignore[arg-type]


def test_folder(tmp_path: Path):
    with pytest.raises(ImageError, match="is a folder"):
        open_image(tmp_path)


def test_limit_is_checked_before_decoding(monkeypatch: pytest.MonkeyPatch):
    def never(*_: object) -> None:
        raise AssertionError("the picture was decoded")

    monkeypatch.setattr(Image.Image, "convert", never)
    with pytest.raises(ImageError, match=r"60 x 40 pixels, above the limit of 2,399"):
        open_image(file_bytes(photo(), "PNG"), max_pixels=60 * 40 - 1)


def test_limit_itself_is_allowed():
    assert open_image(file_bytes(photo(), "PNG"), max_pixels=60 * 40).size == (60, 40)


# --- Orientation --------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(orientation: int, kind: str):
    upright = open_image(exif_rotated(orientation, kind))
    assert upright.size == (60, 40)
    assert far(upright, photo()) < 4
    assert upright.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
def test_impossible_orientation_is_ignored(orientation: int):
    assert far(open_image(exif_rotated(orientation)), photo()) < 4


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"garbage" * 9])
def test_damaged_exif_is_ignored(exif: bytes):
    assert far(open_image(file_bytes(photo(), "JPEG", exif=exif, quality=95)), photo()) < 6


# --- Transparency -------------------------------------------------------------------------------


def half_clear() -> Image.Image:
    image = photo().convert("RGBA")
    image.putalpha(
        Image.fromarray(np.repeat([[0, 255]], 40, axis=0).repeat(30, axis=1).astype("u1"))
    )
    return image


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_over_white(kind: str):
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = np.asarray(open_image(file_bytes(half_clear(), kind, **options)))
    assert (pixels[:, :30] == 255).all()
    assert np.array_equal(pixels[:, 30:], np.asarray(photo())[:, 30:])


def test_partial_alpha_is_blended():
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 127))
    assert np.asarray(open_image(image)).mean() == pytest.approx(128, abs=1)


@pytest.mark.parametrize("mode", ["LA", "PA", "La", "RGBa"])
def test_rarer_modes_with_alpha(mode: str):
    image = Image.new("RGBA", (4, 4), (255, 255, 255, 0))
    converted = {"PA": lambda: image.convert("P").convert("PA")}.get(
        mode, lambda: image.convert("RGBA" if mode == "RGBa" else "LA").convert(mode)
    )()
    assert open_image(converted).mode == "RGB"


def test_palette_with_transparent_entry():
    image = Image.new("P", (6, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 3, 4))
    pixels = np.asarray(open_image(file_bytes(image, "PNG", transparency=0)))
    assert (pixels[:, :3] == 255).all()
    assert (pixels[:, 3:] == [0, 0, 255]).all()


def test_grey_with_transparent_value():
    image = Image.new("L", (6, 4), 50)
    assert (np.asarray(open_image(file_bytes(image, "PNG", transparency=50))) == 255).all()


# --- Other kinds of numbers ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "YCbCr", "HSV", "CMYK", "RGBX"])
def test_modes_keep_their_look(mode: str):
    image = photo().convert(mode)
    opened = open_image(image)
    assert opened.mode == "RGB"
    assert far(opened, image.convert("RGB")) == 0


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_file(kind: str):
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    pixels = np.asarray(open_image(file_bytes(red, kind))).astype(int)
    assert np.abs(pixels - [255, 0, 0]).max() < 12


def test_lab():
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(photo(), *profiles, outputMode="LAB")
    assert far(open_image(lab), photo()) < 6
    assert far(open_image(file_bytes(lab, "TIFF")), photo()) < 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_uses_its_full_range(kind: str):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    opened = open_image(file_bytes(Image.fromarray(ramp), kind))
    expected = np.rint(ramp / 257).astype(int)
    assert np.abs(np.asarray(opened)[..., 0].astype(int) - expected).max() <= 1


def test_dark_16_bit_stays_dark():
    dark = np.full((4, 4), 257, dtype=np.uint16)
    assert (np.asarray(open_image(file_bytes(Image.fromarray(dark), "PNG"))) == 1).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 128, 255], [0, 128, 255]),
        ([0, 257, 65535], [0, 1, 255]),
        ([-100, 0, 100], [0, 128, 255]),
        ([0, 500_000, 1_000_000], [0, 128, 255]),
        ([7, 7, 7], [7, 7, 7]),
    ],
)
def test_32_bit_integers(values: list[int], expected: list[int]):
    image = Image.fromarray(np.array([values], dtype=np.int32))
    assert image.mode == "I"
    assert np.asarray(open_image(image))[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([float("nan"), 0.0, 1.0], [0, 0, 255]),
        ([float("inf"), 0.0, 1.0], [0, 0, 255]),
        ([-5.0, -5.0, -5.0], [0, 0, 0]),
    ],
)
def test_float_tiff(values: list[float], expected: list[int]):
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert np.asarray(open_image(file_bytes(image, "TIFF")))[0, :, 0].tolist() == expected


# --- Animations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_animation_shows_its_first_frame(kind: str, frames: int):
    colours = ["red", "blue", "green", "yellow", "black"][:frames]
    pictures = [Image.new("RGB", (20, 12), colour) for colour in colours]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = file_bytes(pictures[0], kind, save_all=True, append_images=pictures[1:], **options)
    assert open_image(data).getpixel((3, 3)) == (255, 0, 0)


# --- Arrays and Pillow images -------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((5, 7), np.uint8),
        np.zeros((5, 7, 1), np.uint8),
        np.zeros((5, 7, 3), np.uint8),
        np.zeros((5, 7, 4), np.uint8),
        np.zeros((5, 7), bool),
        np.zeros((5, 7, 3), np.float32),
        np.zeros((5, 7, 3), np.uint16),
        np.zeros((5, 7), np.int64),
        np.zeros((5, 14, 3), np.uint8)[:, ::2],
    ],
)
def test_arrays(array: np.ndarray):
    opened = open_image(array)
    assert (opened.mode, opened.size) == ("RGB", (7, 5))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 7, 3), np.uint8),
        np.zeros((5, 0), np.uint8),
        np.zeros(5, np.uint8),
        np.zeros((2, 5, 7, 3), np.uint8),
        np.zeros((5, 7, 2), np.uint8),
        np.zeros((3, 5, 7), np.uint8),
        np.zeros((5, 7), complex),
        np.array([["a", "b"]]),
        np.array([[None, None]]),
        np.zeros((), np.uint8),
    ],
)
def test_bad_arrays(array: np.ndarray):
    with pytest.raises(ImageError):
        open_image(array)


def test_source_is_left_alone():
    source = Image.open(io.BytesIO(exif_rotated(6)))
    opened = open_image(source)
    assert source.size == (40, 60)
    opened.putpixel((0, 0), (9, 9, 9))
    plain = photo()
    before = plain.getpixel((0, 0))
    open_image(plain).putpixel((0, 0), (9, 9, 9))
    assert plain.getpixel((0, 0)) == before


def test_empty_pillow_image():
    with pytest.raises(ImageError, match="at least one pixel"):
        open_image(Image.new("RGB", (0, 5)))
