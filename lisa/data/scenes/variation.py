"""How much a cut-out's looks change before it is pasted into a scene."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter


@dataclass(frozen=True)
class Variation:
    """Ranges that the looks of cut-outs and scenes are drawn from.

    Attributes:
        turned: Share of the cut-outs that are turned.
        degrees: By at most this, either way.
        light: Brightness, contrast and saturation are each multiplied by 1 ± at most this.
        stretch: Width over height is multiplied by 2 to the power of at most ± this.
        hue: The hue moves by at most this share of the colour circle, either way.
        grey: Share of the cut-outs that lose their colour.
        blurred: Share of the cut-outs that lose their fine detail.
        compressed: Share of the scenes that went through a lossy file.
    """

    turned: float = 0.5
    degrees: float = 18.0
    light: float = 0.2
    stretch: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    blurred: float = 0.0
    compressed: float = 0.0


PLAIN = Variation()
"""Of the fixed evaluation scenes."""

WIDE = Variation(
    turned=0.7,
    degrees=25.0,
    light=0.4,
    stretch=0.25,
    hue=0.05,
    grey=0.05,
    blurred=0.1,
    compressed=0.7,
)
"""Of training: most things have one cut-out only, and a model that has seen nothing but that one
takes another picture of the same thing for something else."""

_QUALITY = (70, 96)
_BLUR = (0.5, 1.5)


def vary(
    cutout: Image.Image, longest: int, rng: np.random.Generator, variation: Variation
) -> Image.Image:
    """Resize an RGBA cut-out to a longest side, mirror, turn and re-light it."""
    scale = longest / max(cutout.size)
    wide = 1.0
    if variation.stretch:
        wide = float(2 ** (rng.uniform(-variation.stretch, variation.stretch) / 2))
    shape = (
        max(1, round(cutout.width * scale * wide)),
        max(1, round(cutout.height * scale / wide)),
    )
    varied = cutout.resize(shape, Image.Resampling.LANCZOS)
    if rng.random() < 0.5:
        varied = varied.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < variation.turned:
        angle = rng.uniform(-variation.degrees, variation.degrees)
        varied = varied.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    colours = varied.convert("RGB")
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        colours = enhance(colours).enhance(rng.uniform(1 - variation.light, 1 + variation.light))
    if variation.hue:
        colours = _shift_hue(colours, rng.uniform(-variation.hue, variation.hue))
    if variation.grey and rng.random() < variation.grey:
        colours = colours.convert("L").convert("RGB")
    if variation.blurred and rng.random() < variation.blurred:
        colours = colours.filter(ImageFilter.GaussianBlur(rng.uniform(*_BLUR)))
    colours.putalpha(varied.getchannel("A"))
    return colours


def compress(picture: Image.Image, rng: np.random.Generator, variation: Variation) -> Image.Image:
    """Pass a share of the scenes through a lossy file, as most pictures on disks have been."""
    if not variation.compressed or rng.random() >= variation.compressed:
        return picture
    buffer = io.BytesIO()
    kind = "WEBP" if rng.random() < 0.5 else "JPEG"
    picture.save(buffer, kind, quality=int(rng.integers(*_QUALITY)))
    with Image.open(buffer) as reread:
        return reread.convert("RGB")


def _shift_hue(picture: Image.Image, share: float) -> Image.Image:
    hue, saturation, value = picture.convert("HSV").split()
    turned = Image.fromarray((np.asarray(hue, np.int16) + round(256 * share)).astype(np.uint8))
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")
