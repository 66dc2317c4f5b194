"""The masks of a conversation as files: one for each segment, and an overlay for each turn."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from chat.state import SessionPicture, SessionSegment
from lisa.commands.output_files import write_whole
from lisa.errors import ConfigError
from lisa.visualize import draw_segments

_OWN = re.compile(r"(?:mask|overlay)_\d{1,6}\.png")


class AnswerFiles:
    """Writes into a folder; mask_2.png is always that of #2, overlay_3.png of the third turn."""

    def __init__(self, folder: Path) -> None:
        """Take a folder, and remove what an earlier conversation left there.

        Raises:
            ConfigError: Old files cannot be removed.
        """
        self.folder = folder
        try:
            for path in folder.iterdir():
                if _OWN.fullmatch(path.name):
                    path.unlink()
        except OSError as error:
            raise _unwritable(folder, error) from error

    def write(
        self, turn: int | None, picture: SessionPicture, segments: Sequence[SessionSegment]
    ) -> Image.Image | None:
        """Write the masks of segments and draw those that lie on a picture.

        Args:
            turn: From 1; None writes no overlay.
            picture: That the segments were asked for on.
            segments: With names.

        Returns:
            The picture with its segments; None if none lies on it.

        Raises:
            ConfigError: The folder cannot be written to.
        """
        try:
            for one in segments:
                mask = Image.fromarray(one.segment.mask).convert("1")
                write_whole(self.folder / mask_file(one), partial(mask.save, format="PNG"))
            here = [one for one in segments if one.picture == picture.number]
            if not here:
                return None
            overlay = draw_segments(
                picture.image,
                [one.segment for one in here],
                labels=[one.label for one in here],
            )
            if turn is not None:
                path = self.folder / f"overlay_{turn}.png"
                write_whole(path, partial(overlay.save, format="PNG"))
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return overlay

    def remove(self, turn: int, segments: Sequence[SessionSegment]) -> None:
        """Remove the files of a turn that is no more.

        Args:
            turn: From 1.
            segments: That came with it.

        Raises:
            ConfigError: The folder cannot be written to.
        """
        try:
            for name in (f"overlay_{turn}.png", *map(mask_file, segments)):
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self.folder, error) from error


def mask_file(segment: SessionSegment) -> str:
    """Return the name of a segment's file."""
    return f"mask_{segment.name[1:]}.png"


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    reason = os.strerror(error.errno) if error.errno else error
    return ConfigError(f"masks cannot be written to {str(folder)!r}: {reason}.")
