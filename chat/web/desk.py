"""What one browser tab has before it: its session, and the turn that runs."""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from PIL import Image

from chat.cancellation import Cancellation, TurnCancelled
from chat.safety.limits import SafetyLimits
from chat.session import ChatSession, SessionBusy
from chat.steps import Observed, SegmentAdded, Step, TextAdded
from chat.streaming import stream_turn
from chat.web.keeping import KEEPERS
from chat.web.pointing import read_pointing
from chat.web.suggestions import suggestions
from chat.web.view import Urls, Values, stage_view, steps_view, turn_view
from lisa.errors import ImageError, LisaError

_LOG = logging.getLogger(__name__)
_MOST_PIXELS = 150_000_000
"""Of all pictures of a session together; they stay in memory."""
_TEXT_SECONDS = 0.06
"""Text that comes faster waits for the next word: nobody reads so fast."""
_STOPPED = "Stopped. The session is as it was before the question."
_WAIT = "Wait for the answer, or stop it."
_GREETING = ("Ask, see, point, ask again.", "Ask about the picture.")
_ADVICE = (
    "Add a picture, then ask about it in your own words.",
    "Answers show what they mean: each thing gets a colour and a name, and later questions can "
    "use it.",
)
"""Before and behind the first picture."""
_OWN_MISTAKE = "Something in the program broke; the session is as it was before."


@dataclass(frozen=True)
class Shown:
    """What changes on the page; None stays as it is.

    Attributes:
        stage: Picture side.
        source: Data URL of the picture.
        talk: Conversation side.
        question: Text of the question field.
    """

    stage: Values | None = None
    source: str | None = None
    talk: Values | None = None
    question: str | None = None


@dataclass(frozen=True)
class Sessions:
    """Where sessions come from.

    Attributes:
        new: Begins one.
        load: Opens one that was saved to a folder.
    """

    new: Callable[[], ChatSession]
    load: Callable[[Path], ChatSession]


class Desk:
    """One browser tab's session and what is shown of it. Its methods return what changes."""

    def __init__(self, sessions: Sessions, limits: SafetyLimits) -> None:
        self.session = sessions.new()
        self.limits = limits
        self._sessions = sessions
        self._before: ChatSession | None = None
        self._urls = Urls()
        self._running: Cancellation | None = None
        self._question = ""
        self._steps: list[Step] = []
        self._turns_before = 0
        self._kept: Path | None = None
        self._sent = ""

    # --- What is shown ----------------------------------------------------------------------------

    def everything(
        self, notice: str = "", *, failed: bool = False, question: str | None = None
    ) -> Shown:
        """Return the whole page.

        Args:
            notice: A sentence above the question; "" for none.
            failed: Whether it tells of an error.
            question: New text of the question field.
        """
        return Shown(self._stage(), self._source(), self._talk(notice, failed), question)

    def _stage(self) -> Values:
        return stage_view(self.session.state, self._steps, self._urls)

    def _source(self) -> str | None:
        """Return the picture, unless the page has it."""
        state = self.session.state
        picture = next((one for one in state.pictures if one.number == state.picture), None)
        digest = "" if picture is None else picture.digest
        if digest == self._sent:
            return None
        self._sent = digest
        return "" if picture is None else self._urls.picture(picture)

    def _talk(self, notice: str = "", failed: bool = False) -> Values:
        state = self.session.state
        live, turns = None, state.turns
        if self._running is not None:
            # The session has the turn a moment before its last step is heard of.
            turns = turns[: self._turns_before]
            live = {**steps_view(self._question, self._steps), "picture": state.picture}
        said = {"kind": "error" if failed else "info", "text": notice}
        return {
            "turns": [turn_view(turn) for turn in turns],
            "live": live,
            "busy": live is not None,
            "notice": said if notice else None,
            "ideas": suggestions(state),
            "greeting": _GREETING[bool(state.picture)],
            "advice": _ADVICE[bool(state.picture)],
        }

    # --- Turns ------------------------------------------------------------------------------------

    def ask(self, question: str, *, typed: bool = True) -> Iterator[Shown]:
        """Ask, and show each step as it comes.

        Args:
            question: Of a person.
            typed: Whether it stands in the question field, which is emptied then, and filled again
                if there is no answer.
        """
        if self._is_busy:
            yield Shown(talk=self._talk(_WAIT, failed=True))
            return
        stop = Cancellation()
        self._running, self._question, self._steps = stop, question.strip(), []
        self._turns_before = len(self.session.turns)
        notice, failed, shown_at = "", True, 0.0
        try:
            self.limits.check_turn(question)
            yield Shown(talk=self._talk(), question="" if typed else None)
            turn = stream_turn(self.session, self._question, cancellation=stop)
            with closing(cast("Generator[Step]", turn)):
                for step in turn:
                    self._steps.append(step)
                    now = time.monotonic()
                    if isinstance(step, TextAdded) and now - shown_at < _TEXT_SECONDS:
                        continue
                    shown_at = now
                    visible = isinstance(step, Observed | SegmentAdded)
                    yield Shown(self._stage() if visible else None, talk=self._talk())
        except TurnCancelled:
            notice, failed = _STOPPED, False
        except LisaError as error:
            notice = sentence(error)
        except Exception:  # noqa: BLE001 - a page that hangs would tell its reader nothing
            _LOG.exception("a turn broke")
            notice = _OWN_MISTAKE
        finally:
            if self._running is stop:
                self._running, self._steps = None, []
        back = question if notice and typed else None
        yield self.everything(notice, failed=failed, question=back)

    def stop(self) -> None:
        """Stop the turn that runs, if there is one."""
        if self._running is not None:
            self._running.cancel()

    def undo(self, question: str) -> Shown:
        """Take back the last turn, or the step to a new session.

        Args:
            question: What stands in the question field; an empty one gets the old question back.
        """
        self._check_idle()
        before = self._before
        if not self.session.turns and before is not None:
            self.session, self._before = before, None
            return self.everything("The earlier session is back.")
        turn = self.session.undo()
        if turn is None:
            return self.everything("There is no turn to take back.")
        return self.everything(question=turn.question if not question.strip() else None)

    def new(self) -> Shown:
        """Begin a new session; the old one can be taken back."""
        self._check_idle()
        had = bool(self.session.pictures)
        self._before = self.session if had else self._before
        self.session = self._sessions.new()
        return self.everything("A new session. Undo brings the earlier one back." if had else "")

    # --- Pictures and pointing --------------------------------------------------------------------

    def add(self, pictures: Sequence[tuple[str, Callable[[], Image.Image]]]) -> Shown:
        """Add pictures; one that cannot be opened does not keep the others out.

        Args:
            pictures: Name and what opens it.
        """
        refused = []
        for name, opened in pictures[: self.limits.pictures_per_request]:
            try:
                self.session.add_picture(self._fitting(opened()), name)
            except LisaError as error:
                refused.append(f"{name[:60]}: {error}")
        left = len(pictures) - self.limits.pictures_per_request
        if left > 0:
            refused.append(f"{left} pictures were left out: add a few at a time.")
        return self.everything(" ".join(refused), failed=bool(refused))

    def _fitting(self, image: Image.Image) -> Image.Image:
        held = sum(one.image.width * one.image.height for one in self.session.pictures)
        if held + image.width * image.height > _MOST_PIXELS:
            raise ImageError(
                f"the session would hold more than {_MOST_PIXELS:,} pixels: begin a new one."
            )
        return image

    def turn_to(self, data: Any) -> Shown:
        """Look at another picture.

        Args:
            data: What the browser sent, `{"number": 2}`.
        """
        number = data.get("number") if isinstance(data, dict) else None
        self.session.use_picture(number if isinstance(number, int) else 0)
        return self.everything()

    def point(self, data: Any) -> Shown:
        """Point at a place of the picture.

        Args:
            data: What the browser sent, as `read_pointing` takes it.
        """
        place = read_pointing(data)
        segment = self.session.point(box=place.box, points=place.points)
        shown = self.everything()
        said = f"This is {segment.label} now. Ask about it by its name."
        return Shown({**(shown.stage or {}), "said": said}, shown.source, shown.talk)

    def open(self, folder: Path) -> Shown:
        """Go on with a saved session; the one before can be taken back.

        Args:
            folder: With its files.
        """
        self._check_idle()
        loaded = self._sessions.load(folder)
        self._before, self.session = self.session, loaded
        return self.everything("The saved session is open.")

    @property
    def _is_busy(self) -> bool:
        # A browser that lost its connection hears of no end; stopping sets it free.
        return self._running is not None and not self._running.is_cancelled

    def _check_idle(self) -> None:
        if self._is_busy:
            raise SessionBusy(_WAIT)

    def keep(self, name: str, folder: Path) -> Path:
        """Write what somebody takes home, in place of what was written last.

        Args:
            name: Of one of `KEEPERS`.
            folder: In which a folder is made that nobody can guess.
        """
        kept = KEEPERS[name](self.session)
        self.forget()
        place = folder / secrets.token_hex(16)
        place.mkdir(parents=True)
        (place / kept.name).write_bytes(kept.content)
        self._kept = place / kept.name
        return self._kept

    def forget(self) -> None:
        """Remove what was written for a download."""
        if self._kept is not None:
            shutil.rmtree(self._kept.parent, ignore_errors=True)

    def tried(self, work: Callable[[], Shown]) -> Shown:
        """Return what a method returns, or the page with its error as a sentence."""
        try:
            return work()
        except LisaError as error:
            return self.everything(sentence(error), failed=True)


def sentence(error: LisaError) -> str:
    """Return an error as a sentence for the page."""
    text = str(error)
    return text[:1].upper() + text[1:]
