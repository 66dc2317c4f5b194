"""Text that may be printed: what a model or a file says must not steer the terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Returns text with its control characters replaced; line breaks and tabs stay."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
