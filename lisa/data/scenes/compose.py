"""Compose a scene: two to five cut-outs over a background, and the mask of what stays visible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lisa.data.scenes.backgrounds import paint_background
from lisa.data.scenes.cutouts import OPAQUE, CutoutLibrary
from lisa.data.scenes.relations import is_inside
from lisa.data.scenes.variation import PLAIN, Variation, compress, vary
from lisa.masks import mask_to_box
from lisa.types import Box, ImageSize

CANVAS = 256
"""Longest side of a scene in pixels."""

MIN_VISIBLE = 0.7
"""A placement is refused when it would leave less than this share of any object visible."""

MIN_AREA = 500
"""... or fewer visible pixels than this."""

_ATTEMPTS = 30

_SIDES = (0.26, 0.6)
"""Longest side of an object, as shares of `CANVAS`."""

_NESTED_SIDES = (0.14, 0.27)
"""The same of one that is put inside another."""

_COVERED = 0.9
"""A place inside an object is one where it covers this share of the new one's box."""

BoolMask = NDArray[np.bool_]


@dataclass(frozen=True)
class SceneObject:
    """One object of a scene.

    Attributes:
        name: what it is.
        cutout: path of its cut-out, relative to the library's root.
        mask: its visible pixels, bool (H, W).
    """

    name: str
    cutout: str
    mask: BoolMask

    @property
    def box(self) -> Box | None:
        """The smallest box around `mask`, xyxy in pixels, right and bottom exclusive."""
        return mask_to_box(self.mask)


@dataclass(frozen=True)
class Scene:
    """A composed picture.

    Attributes:
        image: RGB, uint8; the longest side is `CANVAS`.
        objects: back to front.
        seed: what `compose_scene` was called with.
    """

    image: Image.Image
    objects: tuple[SceneObject, ...]
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objects, back to front."""
        return tuple(o.name for o in self.objects)


def _canvas_size(rng: np.random.Generator) -> ImageSize:
    """Two scenes in three are square, the others are up to 1.5 times as wide as high or reverse."""
    if rng.random() < 2 / 3:
        return ImageSize(CANVAS, CANVAS)
    short = int(rng.integers(CANVAS * 2 // 3, CANVAS))
    return ImageSize(short, CANVAS) if rng.random() < 0.5 else ImageSize(CANVAS, short)


def _place(
    cutout: Image.Image, size: ImageSize, masks: Sequence[BoolMask], rng: np.random.Generator
) -> tuple[tuple[int, int], BoolMask] | None:
    """Find a position that leaves enough of every object visible, or None."""
    alpha = np.asarray(cutout.getchannel("A")) >= OPAQUE
    height, width = alpha.shape
    if height > size.height or width > size.width:
        return None
    for _ in range(_ATTEMPTS):
        left = int(rng.integers(0, size.width - width + 1))
        top = int(rng.integers(0, size.height - height + 1))
        mask = _put(alpha, left, top, size)
        if _leaves_enough(mask, masks):
            return (left, top), mask
    return None


def _place_inside(
    cutout: Image.Image, size: ImageSize, masks: Sequence[BoolMask], rng: np.random.Generator
) -> tuple[tuple[int, int], BoolMask] | None:
    """Find a position inside another object that leaves enough of every object visible, or None."""
    alpha = np.asarray(cutout.getchannel("A")) >= OPAQUE
    height, width = alpha.shape
    if height > size.height or width > size.width:
        return None
    for host in rng.permutation(len(masks)):
        covered = _window_sums(masks[host], height, width) / (height * width)
        places = np.argwhere(covered >= _COVERED)
        for top, left in rng.permutation(places)[:_ATTEMPTS].tolist():
            mask = _put(alpha, left, top, size)
            if _leaves_enough(mask, masks) and is_inside(mask, masks[host] & ~mask):
                return (left, top), mask
    return None


def _put(alpha: BoolMask, left: int, top: int, size: ImageSize) -> BoolMask:
    mask = np.zeros(size, bool)
    mask[top : top + alpha.shape[0], left : left + alpha.shape[1]] = alpha
    return mask


def _leaves_enough(mask: BoolMask, masks: Sequence[BoolMask]) -> bool:
    """Whether a new mask is large enough, and what it leaves of earlier ones is."""
    # Masks of earlier objects already lack what covers them, so the share of their full
    # silhouette can only fall; comparing with the present mask keeps a little over MIN_VISIBLE.
    kept = [(m & ~mask).sum() for m in masks]
    enough = all(
        k >= max(MIN_AREA, MIN_VISIBLE * m.sum()) for k, m in zip(kept, masks, strict=True)
    )
    return bool(enough and mask.sum() >= MIN_AREA)


def _window_sums(mask: BoolMask, height: int, width: int) -> NDArray[np.int64]:
    """Count the mask's pixels in every window of a size, (H - height + 1, W - width + 1)."""
    sums = np.pad(mask.astype(np.int64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    rows = sums[height:] - sums[:-height]
    return np.asarray(rows[:, width:] - rows[:, :-width])


def compose_scene(
    library: CutoutLibrary,
    seed: int,
    *,
    names: Sequence[str] | None = None,
    cutouts: Mapping[str, str] | None = None,
    variation: Variation = PLAIN,
    nested: bool = False,
) -> Scene:
    """Compose the scene of a seed.

    Args:
        library: where cut-outs come from.
        seed: decides everything that the other arguments leave open.
        names: objects that must be in the scene; others are not added. None draws two to five.
        cutouts: name -> which of its cut-outs to use; others are drawn.
        variation: how much looks change.
        nested: whether the last object, a small one, is put inside another.

    Returns:
        The scene; an object that finds no room after several tries is left out, so a scene can
        hold fewer objects than asked for, but never none.
    """
    rng = np.random.default_rng(seed)
    size = _canvas_size(rng)
    if names is None:
        count = int(rng.integers(2, 6))
        chosen = [str(n) for n in rng.choice(library.names, size=count, replace=False)]
    else:
        chosen = list(names)
    picture = paint_background(size, rng)
    placed: list[tuple[str, str]] = []
    masks: list[BoolMask] = []
    for name in chosen:
        inner = nested and bool(masks) and name == chosen[-1]
        find_place, sides = (_place_inside, _NESTED_SIDES) if inner else (_place, _SIDES)
        path = (cutouts or {}).get(name) or str(rng.choice(library.files[name]))
        for shrink in (1.0, 0.8, 0.6):
            longest = int(rng.uniform(*sides) * CANVAS * shrink)
            varied = vary(library.load(path), longest, rng, variation)
            place = find_place(varied, size, masks, rng)
            if place is not None:
                position, mask = place
                picture.paste(varied, position, varied)
                masks = [m & ~mask for m in masks] + [mask]
                placed.append((name, path))
                break
    objects = tuple(
        SceneObject(name, path, mask) for (name, path), mask in zip(placed, masks, strict=True)
    )
    return Scene(compress(picture, rng, variation), objects, seed)
