"""Steps of a turn as lines of a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chat.state import SessionSegment
from chat.steps import Answered, Observed, SegmentAdded, Step, TextAdded, Thought, ToolCalled
from chat.terminal.answer_files import mask_file
from lisa.observations import percent
from lisa.printable import printable

_ENDINGS = {
    "length": "The answer was cut off: it became too long.",
    "steps": "This is what the last tool found; the model kept calling tools.",
    "time": "The time for this turn ran out.",
}


@dataclass
class StepPrinter:
    """Prints steps as they come; what models and files say cannot steer the terminal.

    Attributes:
        write: Takes text.
        colours: Whether to dim what is not the answer.
    """

    write: Callable[[str], object]
    colours: bool = False
    _in_line: bool = False

    def step(self, step: Step) -> None:
        """Print a step of a turn."""
        match step:
            case TextAdded():
                self.write(printable(step.text))
                self._in_line = True
            case Thought():
                self.aside(step.text)
            case ToolCalled():
                self.aside(f"> {step.tool}({said_arguments(step.arguments)})")
            case Observed():
                self.aside(f"  {step.text}")
            case SegmentAdded():
                self.line(f"  {describe(step.segment)}")
            case Answered():
                self.end_line()
                if step.ending in _ENDINGS:
                    self.aside(_ENDINGS[step.ending])

    def line(self, text: str) -> None:
        """Print a line of its own."""
        self.end_line()
        self.write(f"{printable(text)}\n")

    def aside(self, text: str) -> None:
        """Print a line that is not the answer."""
        self.end_line()
        plain = printable(text)
        self.write(f"\x1b[2m{plain}\x1b[0m\n" if self.colours else f"{plain}\n")

    def segments(self, segments: Sequence[SessionSegment]) -> None:
        """Print what segments there are."""
        for segment in segments:
            self.line(f"  {describe(segment)}")

    def end_line(self) -> None:
        """End a line that was begun."""
        if self._in_line:
            self.write("\n")
        self._in_line = False


def describe(segment: SessionSegment) -> str:
    """Return a segment in words: what it is, how large, and its file."""
    if not segment.name:
        return f"{segment.segment.status}: {segment.what or 'what was asked for'}"
    share = percent(float(segment.segment.mask.mean()))
    return f"{segment.label}: {share} of picture {segment.picture}, {mask_file(segment)}"


def said_arguments(arguments: Mapping[str, Any]) -> str:
    """Return the arguments of a call in one line."""
    return ", ".join(f"{name}={value}" for name, value in arguments.items())
