"""Files that strangers may name: regular ones below folders that the server's owner allowed."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from lisa.errors import ConfigError, ImageError

_MAX_NAME_CHARACTERS = 1024
# Not to wait for a pipe's other end, and not to hand the file to programs started meanwhile.
_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOCTTY")
)


class AllowedRoots:
    """Folders whose files may be read.

    Args:
        folders: Paths of existing folders.

    Raises:
        ConfigError: If one of them is no folder.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        wrong = [str(folder) for folder in folders if not Path(folder).is_dir()]
        if wrong:
            raise ConfigError(f"{wrong[0]!r} is not a folder: name folders that may be read.")
        self.folders = tuple(Path(folder).resolve(strict=True) for folder in folders)

    def read(self, name: str, max_bytes: int) -> bytes:
        """Read a file.

        Links are followed, but only to places below an allowed folder. What is elsewhere is
        refused in the same words whether it exists or not.

        Args:
            name: An absolute path, or one from an allowed folder on.
            max_bytes: Longer files are refused.

        Raises:
            ImageError: If it is not below an allowed folder, not a regular file, or too long.
        """
        path = self._find(name)
        if path is None:
            raise ImageError(
                f"{name[:80]!r} is no file below a folder that may be read: "
                "send the picture as a data URL."
            )
        try:
            handle = os.open(path, _FLAGS)
        except OSError as error:
            raise ImageError(f"{name[:80]!r} cannot be read: check its permissions.") from error
        with os.fdopen(handle, "rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode) or not self._is_still(path, state):
                raise ImageError(f"{name[:80]!r} is not a regular file: give a picture's path.")
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise ImageError(
                f"{name[:80]!r} has more than {max_bytes:,} bytes: scale the picture down first."
            )
        return data

    def _find(self, name: str) -> Path | None:
        """Return the file with all links resolved; None unless it is there and allowed."""
        # Two slashes in front mean another machine on some systems: not even looked for.
        if not name or len(name) > _MAX_NAME_CHARACTERS or name.startswith(("\\\\", "//")):
            return None
        for folder in self.folders:
            try:
                found = (folder / name).resolve()
                if self._holds(found) and stat.S_ISREG(found.stat().st_mode):
                    return found
            except (OSError, ValueError, RuntimeError):
                continue  # a name with a NUL, one that is too long, a loop of links
        return None

    def _holds(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self.folders)

    def _is_still(self, path: Path, state: os.stat_result) -> bool:
        """Tell whether what was opened is what the path means, without links, at this moment.

        Somebody who may write in the folder could otherwise put a link there between the look and
        the opening.
        """
        try:
            now = path.resolve(strict=True)
            return self._holds(now) and os.path.samestat(now.stat(), state)
        except (OSError, RuntimeError):
            return False
