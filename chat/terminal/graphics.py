"""Draws a picture between the lines of a terminal, in the way that the terminal understands.

Three protocols show real pixels: kitty's, iTerm2's and the older sixel. Any terminal with colours
can show half a block for every two pixels. What a terminal can is read from its environment: asking
it would need its answer on the standard input, which may be a pipe.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias, get_args

import numpy as np
from PIL import Image

Drawing: TypeAlias = Literal["kitty", "iterm2", "sixel", "blocks", "none"]
"""How to draw; "none" draws nothing."""

DRAWINGS: tuple[Drawing, ...] = get_args(Drawing)

MAX_COLUMNS = 80
_SIDE = 640
"""Longer side in pixels of what is sent to terminals that show pixels."""
_CHUNK = 4096
_SIXEL_TERMINALS = ("foot", "mlterm", "contour", "yaft", "sixel")
_KITTY_PROGRAMS = ("ghostty", "WezTerm")
_ITERM_PROGRAMS = ("iTerm.app",)


def choose_drawing(environment: Mapping[str, str], *, is_terminal: bool) -> Drawing:
    """Return how to draw.

    Args:
        environment: Of the process.
        is_terminal: Whether the output goes to a terminal.
    """
    term = environment.get("TERM", "")
    if not is_terminal or term in ("", "dumb") or environment.get("NO_COLOR"):
        return "none"
    # These stand between us and the terminal, and swallow pictures.
    if not (environment.get("TMUX") or term.startswith(("screen", "tmux"))):
        program = environment.get("TERM_PROGRAM", "")
        if "KITTY_WINDOW_ID" in environment or "kitty" in term or program in _KITTY_PROGRAMS:
            return "kitty"
        if program in _ITERM_PROGRAMS or environment.get("LC_TERMINAL") == "iTerm2":
            return "iterm2"
        if any(name in term for name in _SIXEL_TERMINALS):
            return "sixel"
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return "blocks"
    return "none"


def draw(image: Image.Image, drawing: Drawing, columns: int = MAX_COLUMNS) -> str:
    """Return the text that makes a terminal show a picture, with a line break at its end.

    Args:
        image: RGB.
        drawing: How.
        columns: Width of the terminal in letters; "blocks" fits the picture in.
    """
    if drawing == "none":
        return ""
    if drawing == "blocks":
        return _blocks(image, max(1, min(columns, MAX_COLUMNS)))
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE))
    if drawing == "sixel":
        return _sixel(small)
    file = io.BytesIO()
    small.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return _kitty(data) if drawing == "kitty" else _iterm2(data)


def _kitty(data: str) -> str:
    chunks = [data[i : i + _CHUNK] for i in range(0, len(data), _CHUNK)]
    written = []
    for number, chunk in enumerate(chunks):
        # q=2: the terminal shall not answer into our input.
        head = "a=T,f=100,q=2," if number == 0 else ""
        more = 0 if number == len(chunks) - 1 else 1
        written.append(f"\x1b_G{head}m={more};{chunk}\x1b\\")
    return "".join(written) + "\n"


def _iterm2(data: str) -> str:
    return f"\x1b]1337;File=inline=1;preserveAspectRatio=1:{data}\x07\n"


def _blocks(image: Image.Image, columns: int) -> str:
    # A letter is about twice as high as wide, and shows two pixels above each other.
    width = min(columns, image.width)
    height = max(2, round(image.height * width / image.width))
    pixels = np.asarray(image.resize((width, height + height % 2)))
    lines = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        cells = (
            f"\x1b[38;2;{u[0]};{u[1]};{u[2]};48;2;{v[0]};{v[1]};{v[2]}m\N{UPPER HALF BLOCK}"
            for u, v in zip(upper.tolist(), lower.tolist(), strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m\n")
    return "".join(lines)


def _sixel(image: Image.Image, colours: int = 64) -> str:
    paletted = image.quantize(colours)
    palette = np.asarray(paletted.getpalette() or []).reshape(-1, 3)
    indices = np.asarray(paletted)
    registers = "".join(
        f"#{number};2;{';'.join(str(round(int(part) / 2.55)) for part in palette[number])}"
        for number in np.unique(indices).tolist()
    )
    bands = "-".join(_band(indices[top : top + 6]) for top in range(0, len(indices), 6))
    return f'\x1bPq"1;1;{image.width};{image.height}{registers}{bands}\x1b\\\n'


def _band(rows: np.ndarray) -> str:
    """Return up to six rows of pixels: for each colour the columns in which it stands."""
    weights = (1 << np.arange(len(rows)))[:, None]
    written = []
    for colour in np.unique(rows).tolist():
        bits = ((rows == colour) * weights).sum(axis=0)
        written.append(f"#{colour}{''.join(_runs(bits.tolist()))}")
    return "$".join(written)


def _runs(bits: list[int]) -> Iterator[str]:
    start = 0
    for place in range(1, len(bits) + 1):
        if place == len(bits) or bits[place] != bits[start]:
            length, letter = place - start, chr(63 + bits[start])
            yield f"!{length}{letter}" if length > 3 else letter * length
            start = place
