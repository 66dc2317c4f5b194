"""Cut-outs: pictures of one object each, with an alpha channel that says where the object is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lisa.errors import DataError

LONGEST_SIDE = 224
"""Cut-outs are kept at this size: no scene shows one larger, and 500 of them fit in memory."""

OPAQUE = 128
"""Alpha at and above this value belongs to the object."""


class CutoutLibrary:
    """The cut-outs of named objects in a folder of PNG files.

    Args:
        root: folder that the paths in `files` are relative to.
        files: object name -> relative paths of the cut-outs that show it.

    Raises:
        DataError: if a file is missing.
    """

    def __init__(self, root: str | Path, files: Mapping[str, Sequence[str]]) -> None:
        self.root = Path(root)
        self.files = {name: tuple(paths) for name, paths in files.items() if paths}
        self._loaded: dict[str, Image.Image] = {}
        missing = [
            p for paths in self.files.values() for p in paths if not (self.root / p).exists()
        ]
        if missing:
            raise DataError(
                f"{len(missing)} cut-outs are not under {self.root} (first: {missing[0]}); "
                "point to the folder `stamps` of the package tuxpaint-stamps-default"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names that have at least one cut-out, sorted."""
        return tuple(sorted(self.files))

    def load(self, path: str) -> Image.Image:
        """Read one cut-out: RGBA, trimmed to its opaque part, longest side <= `LONGEST_SIDE`.

        Raises:
            DataError: if it cannot be read, or no pixel of it is opaque.
        """
        if path not in self._loaded:
            try:
                with Image.open(self.root / path) as picture:
                    rgba = picture.convert("RGBA")
            except (OSError, ValueError, SyntaxError) as error:
                raise DataError(
                    f"cut-out {path} cannot be read ({error}); fetch it again or leave it out of "
                    "the library"
                ) from error
            alpha = np.asarray(rgba.getchannel("A"))
            rows, columns = np.nonzero(alpha >= OPAQUE)
            if rows.size == 0:
                raise DataError(f"cut-out {path} has no opaque pixel; leave it out of the library")
            left, top = int(columns.min()), int(rows.min())
            rgba = rgba.crop((left, top, int(columns.max()) + 1, int(rows.max()) + 1))
            rgba.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
            self._loaded[path] = rgba
        return self._loaded[path]
