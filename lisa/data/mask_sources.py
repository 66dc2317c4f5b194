"""Masks as data sets store them, decoded when somebody asks.

A record may name dozens of regions of which a sample shows three, so a record holds sources and not
pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lisa.errors import DataError, ImageError
from lisa.masks import decode_rle, polygons_to_mask
from lisa.types import Box, ImageSize

CocoSegmentation: TypeAlias = Sequence[Sequence[float]] | Mapping[str, Any]
"""A region as COCO writes it: flat polygons `[[x0, y0, ...], ...]` or run lengths."""


class MaskSource(Protocol):
    """Something that can be read as a mask."""

    def read(self) -> NDArray[np.bool_]:
        """Return the mask, `bool (H, W)` at the size of the picture.

        Raises:
            DataError: If what is stored is damaged.
        """


@dataclass(frozen=True)
class NoMask:
    """The mask of a thing that is not in the picture.

    Attributes:
        size: Of the picture.
    """

    size: ImageSize

    def read(self) -> NDArray[np.bool_]:
        """Return a mask without pixels."""
        return np.zeros(self.size, dtype=bool)


@dataclass(frozen=True, eq=False)
class ClassMask:
    """The pixels of a label map that have one value.

    Attributes:
        labels: `(H, W)` whole numbers, shared by all classes of the picture.
        value: Of the class.
    """

    labels: NDArray[Any]
    value: int

    def read(self) -> NDArray[np.bool_]:
        """Return where the map has the value."""
        mask: NDArray[np.bool_] = self.labels == self.value
        return mask


@dataclass(frozen=True, eq=False)
class CocoMask:
    """The union of regions in COCO's forms.

    Attributes:
        segmentations: One or more regions.
        size: Of the picture; run lengths of another size are refused.
    """

    segmentations: tuple[CocoSegmentation, ...]
    size: ImageSize

    def read(self) -> NDArray[np.bool_]:
        """Return the union."""
        mask = np.zeros(self.size, dtype=bool)
        for one in self.segmentations:
            mask |= self._region(one)
        return mask

    def _region(self, segmentation: CocoSegmentation) -> NDArray[np.bool_]:
        if not isinstance(segmentation, Mapping):
            return polygons_to_mask(segmentation, self.size)
        region = decode_rle(segmentation)
        if region.shape != self.size:
            raise DataError(
                f"a mask has {region.shape[0]} x {region.shape[1]} pixels (height x width), but "
                f"its picture has {self.size.height} x {self.size.width}."
            )
        return region


@dataclass(frozen=True)
class BoxMask:
    """All pixels whose centre lies in a box.

    Attributes:
        box: `xyxy` in pixels of the picture.
        size: Of the picture.
    """

    box: Box
    size: ImageSize

    def read(self) -> NDArray[np.bool_]:
        """Return the filled box."""
        left, top, right, bottom = self.box
        x = np.arange(self.size.width) + 0.5
        y = np.arange(self.size.height)[:, None] + 0.5
        mask: NDArray[np.bool_] = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        return mask


@dataclass(frozen=True)
class FileMask:
    """A picture file whose pixels above zero are the region.

    Attributes:
        path: Of a one-channel, palette or RGB picture.
    """

    path: Path

    def read(self) -> NDArray[np.bool_]:
        """Return where any channel is above zero; palette pictures count by their index."""
        labels = read_label_map(self.path)
        return np.asarray(labels.any(axis=2) if labels.ndim == 3 else labels != 0)


def read_label_map(path: Path) -> NDArray[Any]:
    """Read the numbers of a label picture as they are stored: a palette's indices, not its colours.

    Args:
        path: Of a picture, usually PNG.

    Returns:
        `(H, W)`, or `(H, W, channels)` without any alpha channel if the file has several.

    Raises:
        DataError: If there is no such file or it is no picture.
    """
    from PIL import Image

    from lisa.images import MAX_PIXELS

    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"{str(path)!r} has {image.width * image.height:,} pixels, more than the "
                    f"{MAX_PIXELS:,} that are read: scale it down."
                )
            bare = image.convert(image.mode.replace("A", "")) if "A" in image.mode else image
            return np.array(bare)
    except (OSError, SyntaxError, ImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{str(path)!r} cannot be read as a mask: {error}.") from error
