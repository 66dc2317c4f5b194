"""The picture that comes with the package, for demonstrations and measurements."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from lisa.errors import DataError

if TYPE_CHECKING:
    from PIL import Image


def demo_picture() -> Image.Image:
    """Open the scene that `make demo` asks about.

    Raises:
        DataError: If this installation lacks it.
    """
    from lisa.images import open_image

    file = files("lisa").joinpath("nano", "demo", "scene.jpg")
    if not file.is_file():
        raise DataError("this installation has no demo picture (lisa/nano/demo): install it again.")
    return open_image(file.read_bytes())
