"""A conversation with a person about pictures: what was asked, found and answered so far.

    session = ChatSession(Workbench())
    session.add_picture("photo.jpg")
    turn = session.ask("What is in the picture?")
    print(turn.answer.text, [segment.label for segment in session.segments])
    session.ask("How large is #1?")

A session holds one immutable state. Everything that changes it builds a new state first and swaps
the two at its end, so an error or a cancelled turn leaves it as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

from chat.agent import AgentRun, call_tool
from chat.asking import answer_question, conversation_with
from chat.cancellation import Cancellation
from chat.deciders import ReadsAhead, TurnView, choose_decider
from chat.draft import Draft
from chat.limits import SessionLimits
from chat.places import check_place
from chat.speaker import LocalSpeaker
from chat.state import SessionPicture, SessionSegment, SessionState, Turn
from chat.steps import Observed, Step, ToolCalled
from chat.undo import without_last_turn
from lisa.errors import LisaError, PromptError
from lisa.images import ImageSource, open_image
from lisa.tool_calls import ToolCall
from lisa.types import Box

if TYPE_CHECKING:
    from chat.deciders import Decider
    from chat.speaker import Speaker
    from chat.tools.contract import AnyTool
    from chat.workbench import Workbench


class SessionBusy(LisaError):
    """A turn of the session is still running."""


class SessionParts(TypedDict, total=False):
    """What a session is made of, by the names of the constructor's arguments."""

    speaker: Speaker | None
    decider: Decider | None
    tools: Sequence[AnyTool] | None
    limits: SessionLimits | None


def ignore(step: Step) -> None:
    """Listen to nothing."""


class ChatSession:
    """Pictures, turns and named segments; one turn runs at a time."""

    def __init__(
        self,
        workbench: Workbench,
        *,
        speaker: Speaker | None = None,
        decider: Decider | None = None,
        tools: Sequence[AnyTool] | None = None,
        limits: SessionLimits | None = None,
    ) -> None:
        """Begin without a picture. No model is loaded before it is needed.

        Args:
            workbench: The models; sessions may share it.
            speaker: Says what the model says; None asks the workbench's own.
            decider: Chooses what a turn does; None chooses by what the model can do.
            tools: That turns may call; None takes all that the workbench has models for.
            limits: None takes the usual ones.
        """
        self.workbench = workbench
        self.limits = limits or SessionLimits()
        self._given_speaker = speaker
        self._given_decider = decider
        self._tools = None if tools is None else tuple(tools)
        self._speaker: Speaker = speaker or LocalSpeaker(workbench)
        self._decider = decider
        self._state = SessionState()
        self._turn = threading.Lock()

    # --- What it holds ----------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """All of it, at this moment."""
        return self._state

    @property
    def pictures(self) -> tuple[SessionPicture, ...]:
        """The pictures."""
        return self._state.pictures

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns, oldest first."""
        return self._state.turns

    @property
    def segments(self) -> tuple[SessionSegment, ...]:
        """The segments that have names, oldest first."""
        return self._state.segments

    @property
    def picture(self) -> int:
        """Number of the picture that is looked at; 0 while there is none."""
        return self._state.picture

    @property
    def tools(self) -> tuple[AnyTool, ...]:
        """What turns may call.

        Raises:
            LisaError: If the models that decide it cannot be loaded.
        """
        if self._tools is None:
            from chat.tools.registry import tools_for

            self._tools = tools_for(self.workbench)
        return self._tools

    # --- Pictures and pointing --------------------------------------------------------------------

    def add_picture(self, image: ImageSource, name: str = "") -> SessionPicture:
        """Add a picture and look at it from now on.

        Args:
            image: A path, bytes, a Pillow image, or an array.
            name: What it is called; left out, its file's name.

        Raises:
            ImageError: It cannot be read.
            DataError: The session is full.
        """
        opened = open_image(image)
        if not name and isinstance(image, str | Path):
            name = Path(image).name
        with self._changing() as state:
            draft = self._draft(state)
            added = draft.add_picture(opened, name or f"picture {len(state.pictures) + 1}")
            self._state = replace(state, pictures=draft.pictures, picture=added.number)
        return added

    def use_picture(self, number: int) -> SessionPicture:
        """Look at another picture from now on.

        Raises:
            DataError: There is none with this number.
        """
        with self._changing() as state:
            picture = self._draft(state).picture(number)
            self._state = replace(state, picture=number)
        return picture

    def point(
        self,
        *,
        box: Box | None = None,
        points: Sequence[tuple[float, float]] | None = None,
        picture: int | None = None,
    ) -> SessionSegment:
        """Point at a thing: it gets its name now, and the model hears of it with the next question.

        A thing that has a name already keeps it.

        Args:
            box: `xyxy` in pixels of the picture. Not together with points.
            points: (x, y) in pixels, all on the same thing.
            picture: Number of the picture; None is the one that is looked at.

        Raises:
            PromptError: Neither or both are given, or they lie outside the picture.
            DataError: There is no such picture, nothing is there, or the session is full.
        """
        with self._changing() as state:
            draft = self._draft(state)
            shown = self._shown(draft, state, picture)
            check_place(shown, box, points)
            with self.workbench.lock:
                found = self.workbench.pipeline.segment_region(
                    self.workbench.encode(shown),
                    boxes=None if box is None else [box],
                    points=points if box is None else None,
                )[0]
            same = draft.same_segment(found.mask, shown.number)
            segment = same or draft.add_segment(found, None, shown.number, "person")
            pointed = (*(one for one in state.pointed if one != segment.name), segment.name)
            self._state = replace(
                state, segments=draft.segments, picture=shown.number, pointed=pointed
            )
        return segment

    # --- Turns ------------------------------------------------------------------------------------

    def ask(
        self,
        question: str,
        *,
        picture: int | None = None,
        listener: Callable[[Step], None] = ignore,
        cancellation: Cancellation | None = None,
    ) -> Turn:
        """Ask a question and wait for the answer.

        Args:
            question: Plain text; control tokens in it are read as text.
            picture: Number of the picture; None is the one that is looked at.
            listener: Hears of each step as it happens, in this thread; the last is `Answered`, when
                the session holds the turn already. What it raises stops the turn.
            cancellation: Stops the turn from another thread.

        Raises:
            PromptError: The question is empty or too long, or there is no picture.
            DataError: There is no such picture.
            SessionBusy: A turn is running already.
            TurnCancelled: Somebody stopped the turn; the session is as it was.
        """
        self.limits.check_question(question)
        stop = cancellation or Cancellation()
        with self._changing() as state:
            stop.check()
            stop.limit(self.limits.agent.seconds)
            draft = self._draft(state)
            run = AgentRun(
                self.workbench,
                self._decides(),
                self.tools,
                self.limits.agent,
                draft,
                stop,
                listener,
                sum(isinstance(step, ToolCalled) for turn in state.turns for step in turn.steps),
            ).run
            shown = self._shown(draft, state, picture)
            self._state = answer_question(state, draft, shown, question, run)
            turn = self._state.turns[-1]
        listener(turn.answer)
        self._read_ahead(turn)
        return turn

    def _read_ahead(self, turn: Turn) -> None:
        """Let the model read what it will be told before the next question about this picture.

        While the person reads the answer, it has the time; the next answer then begins sooner.
        """
        decider, state = self._decides(), self._state
        picture = next((one for one in state.pictures if one.number == turn.picture), None)
        if not isinstance(decider, ReadsAhead) or picture is None:
            return
        begun, _ = conversation_with(state, turn.picture, "?")
        view = TurnView(picture, begun, self.tools, True, state.segments, Cancellation(), 1)
        with suppress(LisaError):  # a conversation that has become too long fails when it is used
            decider.read_ahead(view)

    def use(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        picture: int | None = None,
        cancellation: Cancellation | None = None,
    ) -> Observed:
        """Call a tool without a question around it.

        What it finds gets its name at once; the model hears of it with the next question.

        Args:
            tool: Its name.
            arguments: As its schema says.
            picture: Number of the picture; None is the one that is looked at.
            cancellation: Stops the call from another thread.

        Raises:
            LisaError: There is no such tool or picture, the arguments are wrong, or the tool cannot
                answer; the session is as it was.
            TurnCancelled: Somebody stopped the call, likewise.
        """
        stop = cancellation or Cancellation()
        with self._changing() as state:
            stop.limit(self.limits.agent.seconds)
            draft = self._draft(state)
            shown = self._shown(draft, state, picture)
            tools = {one.name: one for one in self.tools}
            observed = call_tool(
                tools, ToolCall(tool, arguments), draft, shown, self.workbench, stop
            )
            self._state = replace(
                state, pictures=draft.pictures, segments=draft.segments, picture=shown.number
            )
        return observed

    def undo(self) -> Turn | None:
        """Remove the last turn with the segments and pictures that came with it.

        What the person has added since then stays, unless it lies on a picture that goes.

        Returns:
            The turn; None if there is none.
        """
        with self._changing() as state:
            if not state.turns:
                return None
            self._state = without_last_turn(state)
            return state.turns[-1]

    # --- Copies -----------------------------------------------------------------------------------

    def fork(self) -> Self:
        """Return a session that goes on from here on its own; what is made already is shared."""
        other = type(self)(
            self.workbench,
            speaker=self._given_speaker,
            decider=self._given_decider,
            tools=self._tools,
            limits=self.limits,
        )
        other._state = self._state
        return other

    def save(self, folder: str | Path) -> Path:
        """Write the session into a folder that `load` opens anywhere; returns the folder.

        Raises:
            ConfigError: The folder cannot be written to.
        """
        from chat.storage import save_session

        return save_session(self._state, folder)

    @classmethod
    def load(cls, folder: str | Path, workbench: Workbench, **parts: Unpack[SessionParts]) -> Self:
        """Go on with a session that `save` wrote.

        Args:
            folder: As `save` took it.
            workbench: The models.
            **parts: As the constructor takes them.

        Raises:
            ConfigError: There is no such folder.
            DataError: It holds no session, or a damaged one.
        """
        from chat.storage import load_session

        session = cls(workbench, **parts)
        session._state = load_session(folder)
        return session

    def describe(self) -> dict[str, Any]:
        """Return the session as JSON values; masks as run lengths."""
        from chat.describe import describe_session

        return describe_session(self._state)

    # --- Parts ------------------------------------------------------------------------------------

    @contextmanager
    def _changing(self) -> Iterator[SessionState]:
        """Keep everybody else from changing the session."""
        if not self._turn.acquire(blocking=False):
            raise SessionBusy("a turn is still running: wait for its end, or stop it.")
        try:
            yield self._state
        finally:
            self._turn.release()

    def _draft(self, state: SessionState) -> Draft:
        return Draft(state, self.limits)

    def _decides(self) -> Decider:
        if self._decider is None:
            self._decider = choose_decider(self.workbench, self._speaker)
        return self._decider

    def _shown(self, draft: Draft, state: SessionState, number: int | None) -> SessionPicture:
        if not state.pictures:
            raise PromptError("there is no picture yet: add one first.")
        return draft.picture(state.picture if number is None else number)
