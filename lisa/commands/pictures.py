"""The pictures that a command line names (files, folders, patterns), and the walk through them."""

from __future__ import annotations

import glob
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lisa.errors import ImageError, LisaError

if TYPE_CHECKING:
    from PIL import Image

EXIT_DAMAGED = 2
"""Exit code when at least one picture could not be worked on."""

_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .png .webp .gif .bmp .tif .tiff .ppm .pgm .pbm .pnm .avif .jp2".split()
)


def find_pictures(names: Sequence[str]) -> list[Path]:
    """Returns the files that names stand for, each once, in the order of the names.

    Args:
        names: Files, which need not exist (that is found out when they are opened); folders, which
            stand for the pictures directly inside them; patterns such as `"photos/**/*.jpg"`.

    Raises:
        ImageError: A folder or a pattern holds no picture.
    """
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name).expanduser()
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if _is_picture(p))
        elif not path.exists() and glob.has_magic(name):
            matches = glob.glob(str(path), recursive=True)
            inside = sorted(p for p in map(Path, matches) if _is_picture(p))
        else:
            inside = [path]
        if not inside:
            raise ImageError(f"{name!r} holds no picture: give files, folders or patterns that do.")
        found.update(dict.fromkeys(inside))
    return list(found)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def output_names(paths: Sequence[Path]) -> list[str]:
    """Returns a name without suffix for what is written about each picture; all are different."""
    shared = {stem for stem, count in Counter(p.stem.lower() for p in paths).items() if count > 1}
    return [
        f"{number:04d}_{path.stem}" if path.stem.lower() in shared else path.stem
        for number, path in enumerate(paths)
    ]


def each_picture(paths: Sequence[Path], work: Callable[[int, Path, Image.Image], str]) -> int:
    """Opens picture after picture and prints what the work on it says.

    A damaged picture costs one sentence, and the others go on. A progress bar is drawn where there
    are several pictures and a person to see it.

    Args:
        paths: Of the pictures.
        work: Takes place, path and picture; returns what to print.

    Returns:
        The exit code: 0, or `EXIT_DAMAGED` if a picture failed.
    """
    from tqdm import tqdm

    from lisa.images import open_image

    failed = False
    hidden = len(paths) < 2 or not sys.stderr.isatty()
    with tqdm(total=len(paths), unit="picture", disable=hidden, leave=False) as bar:
        for place, path in enumerate(paths):
            try:
                line = work(place, path, open_image(path))
            except LisaError as error:
                failed = True
                with bar.external_write_mode(file=sys.stderr):
                    print(f"lisa: {path}: {error}", file=sys.stderr)
            else:
                with bar.external_write_mode():
                    print(line, flush=True)
            bar.update()
    return EXIT_DAMAGED if failed else 0
