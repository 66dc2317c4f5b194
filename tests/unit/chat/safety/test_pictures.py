from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from chat.safety.limits import SafetyLimits
from chat.safety.pictures import FORMATS, open_data_url, open_upload
from chat.safety.roots import AllowedRoots
from chat.safety.sources import PictureSources
from lisa.errors import ImageError, PromptError
from lisa.images import open_image
from tests.unit.odd_files import exif_rotated, file_bytes, photo

LIMITS = SafetyLimits()


def odd_kinds() -> dict[str, bytes]:
    """Good pictures that are not 8-bit RGB."""
    animated = io.BytesIO()
    photo().convert("P").save(
        animated, "GIF", save_all=True, append_images=[photo(seed=1).convert("P")]
    )
    grey = np.linspace(0, 65_535, 60 * 40).reshape(40, 60).astype(np.uint16)
    seen = photo().convert("RGBA")
    seen.putalpha(128)
    return {
        "16 bits": file_bytes(Image.fromarray(grey), "PNG"),
        "cmyk": file_bytes(photo().convert("CMYK"), "JPEG"),
        "alpha": file_bytes(seen, "PNG"),
        "palette": file_bytes(photo().convert("P"), "PNG"),
        "one bit": file_bytes(photo().convert("1"), "TIFF"),
        "animated": animated.getvalue(),
        "turned": exif_rotated(6),
    }


@pytest.mark.parametrize("kind", FORMATS)
def test_usual_kinds_are_opened_as_everywhere(kind: str):
    data = file_bytes(photo(), kind)
    assert np.array_equal(np.asarray(open_upload(data, LIMITS)), np.asarray(open_image(data)))


@pytest.mark.parametrize("name", odd_kinds())
def test_odd_kinds_are_opened_as_everywhere(name: str):
    data = odd_kinds()[name]
    image = open_upload(data, LIMITS)
    assert image.mode == "RGB"
    assert image.size == (60, 40)
    assert np.array_equal(np.asarray(image), np.asarray(open_image(data)))


@pytest.mark.parametrize(
    "head", ["data:image/png;base64,", "DATA:;base64,", "data:IMAGE/PNG;BASE64,"]
)
def test_data_url(head: str):
    data = file_bytes(photo(), "PNG")
    image = open_data_url(head + base64.b64encode(data).decode(), LIMITS)
    assert np.array_equal(np.asarray(image), np.asarray(photo()))


@pytest.mark.parametrize("slack", [0, 1, 2])
def test_the_limit_of_a_data_url_is_that_of_its_file(slack: int):
    """Base64 comes in fours: the check before decoding must not refuse what the file may have."""
    data = file_bytes(photo(), "PNG") + b"\0" * slack
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    assert open_data_url(url, SafetyLimits(upload_bytes=len(data))).size == (60, 40)
    with pytest.raises(ImageError, match="bytes, above the limit of"):
        open_data_url(url, SafetyLimits(upload_bytes=len(data) - 1))


def test_limits_of_pixels_are_the_given_ones():
    data = file_bytes(photo(60, 40), "PNG")
    assert open_upload(data, SafetyLimits(pixels=2_400, side=60)).size == (60, 40)
    with pytest.raises(ImageError, match="60 x 40 pixels, above the limit of 2,399"):
        open_upload(data, SafetyLimits(pixels=2_399))
    with pytest.raises(ImageError, match="above the limit of 59 for a side"):
        open_upload(data, SafetyLimits(side=59))


def test_long_turns_are_refused():
    LIMITS.check_turn("a" * 8_000)
    with pytest.raises(PromptError, match="8,001 characters, above the limit of 8,000"):
        LIMITS.check_turn("a" * 8_001)


def test_sources_open_what_they_may(tmp_path):
    data = file_bytes(photo(), "PNG")
    (tmp_path / "a.png").write_bytes(data)

    class Fetcher:
        def fetch(self, url: str) -> bytes:
            return {"https://example.org/a.png": data}[url]

    sources = PictureSources(LIMITS, Fetcher(), AllowedRoots([tmp_path]))
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    for name in (url, "https://example.org/a.png", "a.png", str(tmp_path / "a.png")):
        assert sources.open(name).size == (60, 40)
