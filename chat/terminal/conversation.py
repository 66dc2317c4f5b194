"""A conversation in a terminal: a line is a question, or a command if it begins with a slash."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from chat.cancellation import Cancellation, TurnCancelled
from chat.session import ChatSession
from chat.state import SessionPicture, SessionSegment
from chat.steps import Observed
from chat.terminal.answer_files import AnswerFiles
from chat.terminal.graphics import Drawing, draw
from chat.terminal.printing import StepPrinter
from lisa.errors import ConfigError, DataError, LisaError

HELP = """\
Write a question about the picture; call things by their names, such as #1.
/tags              what the tagger sees
/relate            how the things relate
/point X Y         point at a thing, in pixels; or /point X0 Y0 X1 Y1 for a box
/segments          the things that have names
/open PATH         another picture, or the folder of a saved conversation
/picture N         look at picture N again
/undo              take the last question back
/save [FOLDER]     save the conversation; /open opens it again
/quit              end (also Ctrl-D); Ctrl-C stops an answer"""


@dataclass(frozen=True)
class TerminalSettings:
    """How the conversation looks.

    Attributes:
        drawing: How to show pictures between the lines.
        columns: Width of the terminal.
        colours: Whether it shows colours.
    """

    drawing: Drawing = "none"
    columns: int = 80
    colours: bool = False


class TerminalConversation:
    """Takes lines; prints answers; writes masks beside them."""

    def __init__(
        self,
        session: ChatSession,
        files: AnswerFiles,
        write: Callable[[str], object],
        settings: TerminalSettings,
        reopen: Callable[[Path], ChatSession],
    ) -> None:
        """Begin.

        Args:
            session: To talk in.
            files: Take the masks.
            write: Takes text for the terminal.
            settings: How it looks.
            reopen: Loads a saved session.
        """
        self.session = session
        self._files = files
        self._write = write
        self._settings = settings
        self._reopen = reopen
        self._printer = StepPrinter(write, settings.colours)
        self._commands: Mapping[str, Callable[[str], None]] = {
            "help": lambda _: self._printer.line(HELP),
            "tags": lambda _: self._use("tag"),
            "relate": lambda _: self._use("relate"),
            "point": self._point,
            "segments": lambda _: self._list(),
            "open": self._open,
            "picture": self._look_at,
            "undo": lambda _: self._undo(),
            "save": self._save,
        }

    def take(self, line: str) -> bool:
        """Do what a line says.

        Returns:
            Whether the conversation goes on.
        """
        line = line.strip()
        if line in ("/quit", "/exit"):
            return False
        if not line:
            return True
        try:
            if line.startswith("/"):
                self._command(line)
            else:
                self._ask(line)
        except TurnCancelled:
            self._printer.aside("Stopped.")
        except LisaError as error:
            self._printer.line(f"lisa: {error}")
        return True

    def greet(self) -> None:
        """Say what is there."""
        for picture in self.session.pictures:
            size = f"{picture.image.width} x {picture.image.height}"
            self._printer.line(f"Picture {picture.number}: {picture.name}, {size} pixels")
        self._printer.aside("/help tells what can be written here.")

    # --- Questions --------------------------------------------------------------------------------

    def _ask(self, question: str) -> None:
        with _stopped_by_ctrl_c() as stop:
            turn = self.session.ask(question, listener=self._printer.step, cancellation=stop)
        tools = [one for step in turn.steps if isinstance(step, Observed) for one in step.segments]
        shown = {one.name: one for one in (*turn.answer.segments, *tools) if one.name}
        self._show(turn.picture, tuple(shown.values()), len(self.session.turns))
        for number in turn.pictures:
            self._printer.line(f"  picture {number} is new: /picture {number} looks at it")

    def _show(
        self, picture: int, segments: tuple[SessionSegment, ...], turn: int | None = None
    ) -> None:
        named = {one.name for one in segments}
        # Words may have come after a segment was drawn.
        current = [one for one in self.session.segments if one.name in named]
        overlay = self._files.write(turn, self._picture(picture), current)
        if overlay is not None and self._settings.drawing != "none":
            self._printer.end_line()
            self._write(draw(overlay, self._settings.drawing, self._settings.columns))

    def _picture(self, number: int) -> SessionPicture:
        return next(one for one in self.session.pictures if one.number == number)

    # --- Commands ---------------------------------------------------------------------------------

    def _command(self, line: str) -> None:
        name, _, rest = line[1:].partition(" ")
        if name not in self._commands:
            raise ConfigError(f"there is no command /{name[:20]}: /help lists them.")
        self._commands[name](rest.strip())

    def _use(self, tool: str) -> None:
        with _stopped_by_ctrl_c() as stop:
            observed = self.session.use(tool, {}, cancellation=stop)
        self._printer.line(observed.text)
        self._printer.segments(observed.segments)
        if observed.segments:
            self._show(self.session.picture, observed.segments)

    def _point(self, words: str) -> None:
        try:
            numbers = [float(word) for word in words.replace(",", " ").split()]
        except ValueError:
            numbers = []
        if len(numbers) == 2:
            segment = self.session.point(points=[(numbers[0], numbers[1])])
        elif len(numbers) == 4:
            segment = self.session.point(box=(numbers[0], numbers[1], numbers[2], numbers[3]))
        else:
            raise ConfigError("/point takes two numbers, a point, or four, a box, in pixels.")
        self._printer.segments([segment])
        self._show(segment.picture, (segment,))

    def _list(self) -> None:
        if not self.session.segments:
            self._printer.line("Nothing has a name yet.")
        self._printer.segments(self.session.segments)

    def _look_at(self, word: str) -> None:
        if not word.isdecimal():
            raise DataError("/picture takes the number of a picture, such as /picture 1.")
        picture = self.session.use_picture(int(word))
        self._printer.line(f"Picture {picture.number}: {picture.name}")
        if self._settings.drawing != "none":
            self._write(draw(picture.image, self._settings.drawing, self._settings.columns))

    def _open(self, name: str) -> None:
        path = Path(name).expanduser()
        if name and path.is_dir():
            self.session = self._reopen(path)
            for turn, held in enumerate(self.session.turns, 1):
                self._files.write(turn, self._picture(held.picture), held.segments)
            count = len(self.session.turns)
            self._printer.line(f"The conversation goes on after {count} questions.")
        else:
            added = self.session.add_picture(path)
            self._printer.line(f"Picture {added.number}: {added.name}")

    def _undo(self) -> None:
        count = len(self.session.turns)
        turn = self.session.undo()
        if turn is None:
            self._printer.line("There is nothing to take back.")
            return
        self._files.remove(count, turn.segments)
        self._printer.line(f"Taken back: {turn.question}")

    def _save(self, name: str) -> None:
        from chat.report import write_report
        from lisa.commands.output_files import write_whole

        folder = self.session.save(
            Path(name).expanduser() if name else self._files.folder / "saved"
        )
        report = write_report(self.session.state).encode()
        try:
            write_whole(folder / "report.html", lambda file: file.write(report))
        except OSError as error:
            raise ConfigError(f"the report cannot be written to {str(folder)!r}.") from error
        self._printer.line(f"Saved in {folder}; report.html shows it.")


@contextmanager
def _stopped_by_ctrl_c() -> Iterator[Cancellation]:
    """Let Ctrl-C stop a turn instead of the program."""
    stop = Cancellation()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if stop.is_cancelled:  # somebody who asks twice means it
            raise KeyboardInterrupt
        stop.cancel()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
