"""A turn: decide, call a tool, read what it answers, decide again, until the answer is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chat.cancellation import TurnCancelled
from chat.deciders.contract import Call, Decider, Misread, Say, TurnView
from chat.draft import Draft
from chat.limits import AgentLimits
from chat.scene import DraftScene
from chat.state import SessionPicture, SessionSegment
from chat.steps import (
    Answered,
    Ending,
    Observed,
    SegmentAdded,
    Step,
    TextAdded,
    Thought,
    ToolCalled,
)
from lisa.errors import DataError, LisaError
from lisa.observations import say_error
from lisa.tool_calls import ToolCall
from lisa.types import Conversation, Segment

if TYPE_CHECKING:
    from chat.cancellation import Cancellation
    from chat.tools.contract import AnyTool
    from chat.workbench import Workbench


def call_tool(
    tools: Mapping[str, AnyTool],
    call: ToolCall,
    draft: Draft,
    picture: SessionPicture,
    workbench: Workbench,
    cancellation: Cancellation,
) -> Observed:
    """Let a tool work.

    Args:
        tools: That there are, by name.
        call: Not checked yet.
        draft: Takes what it finds; if it fails, what it had found until then.
        picture: That it looks at.
        workbench: Its models.
        cancellation: Stops it.

    Raises:
        LisaError: There is no such tool, its arguments are wrong, or it cannot answer.
        TurnCancelled: Somebody stopped it.
    """
    begin = time.perf_counter()
    known = len(draft.segments)
    tool = tools.get(call.name)
    if tool is None:
        raise DataError(
            f'there is no tool "{call.name[:40]}"; there are: {", ".join(tools) or "none"}.'
        )
    arguments = tool.check(call.arguments)
    scene = DraftScene(draft, picture, tool.name, workbench, cancellation)
    result = tool.run(arguments, scene)
    cancellation.check()
    segments = {one.name: one for one in (*result.segments, *draft.segments[known:])}
    seconds = time.perf_counter() - begin
    return Observed("", result.text, result.data, tuple(segments.values()), False, seconds)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a question.

    Attributes:
        answer: The answer, whose `Answered` step nobody has heard of yet.
        steps: The steps before it, without `TextAdded`.
        conversation: With this turn's calls, observations and answer.
        told: Names of the segments that observations spoke of.
    """

    answer: Answered
    steps: tuple[Step, ...]
    conversation: Conversation
    told: frozenset[str]


class AgentRun:
    """One turn of one session; used once.

    When the step limit is reached, the model is asked once more; if it still calls a tool instead
    of answering, or if the time is over, the last observation becomes the answer.
    """

    def __init__(
        self,
        workbench: Workbench,
        decider: Decider,
        tools: Sequence[AnyTool],
        limits: AgentLimits,
        draft: Draft,
        cancellation: Cancellation,
        listener: Callable[[Step], None],
        calls_before: int,
    ) -> None:
        """Prepare a turn.

        Args:
            workbench: Models for the tools.
            decider: Chooses the steps.
            tools: That may be called.
            limits: Of the turn.
            draft: Takes the segments and pictures that come.
            cancellation: Stops the turn.
            listener: Hears of each step at once.
            calls_before: Calls of the session's earlier turns: ids go on behind them.
        """
        self._workbench = workbench
        self._decider = decider
        self._tools = {tool.name: tool for tool in tools}
        self._limits = limits
        self._draft = draft
        self._cancellation = cancellation
        self._listener = listener
        self._calls_before = calls_before
        self._calls = 0
        self._steps: list[Step] = []
        self._said: list[str] = []
        self._told: set[str] = set()

    def run(self, picture: SessionPicture, conversation: Conversation) -> Outcome:
        """Answer the question that the conversation ends with.

        Raises:
            TurnCancelled: Somebody stopped the turn.
            LisaError: The question cannot be put to the model.
        """
        observed: Observed | None = None
        while True:
            may_call = self._calls < self._limits.max_steps
            decision = self._decider.next(
                TurnView(
                    picture,
                    conversation,
                    tuple(self._tools.values()),
                    may_call,
                    self._draft.segments,
                    self._cancellation,
                    self._limits.max_new_tokens,
                ),
                self._say,
            )
            self._cancellation.check()
            if isinstance(decision, Say):
                return self._answered(decision, picture, conversation)
            self._said.append(decision.said)
            if not may_call:
                return self._given_up("steps", observed, picture, conversation)
            if self._cancellation.is_over:
                return self._given_up("time", observed, picture, conversation)
            self._calls += 1
            observed = self._observe(decision, picture)
            conversation = conversation.answer(decision.text).observe(observed.text)
            if self._cancellation.is_over:
                return self._given_up("time", observed, picture, conversation)

    # --- Calls ------------------------------------------------------------------------------------

    def _observe(self, decision: Call | Misread, picture: SessionPicture) -> Observed:
        call_id = f"call_{self._calls_before + self._calls}"
        if isinstance(decision, Call) and not _is_plain(decision.call):
            reason = "a call holds text that is no Unicode, or a number that is none."
            decision = Misread(decision.text, reason)
        if isinstance(decision, Misread):
            self._emit(Thought(f"The model wrote a call that cannot be read: {decision.reason}"))
            return Observed(call_id, say_error(decision.reason), {}, is_error=True)
        self._emit(ToolCalled(call_id, decision.call.name, dict(decision.call.arguments)))
        observed = self._run_tool(call_id, decision, picture)
        self._emit(observed)
        return observed

    def _run_tool(self, call_id: str, decision: Call, picture: SessionPicture) -> Observed:
        begin = time.perf_counter()
        # What a failed tool has found until then belongs to nobody.
        trial = self._draft.copy()
        try:
            observed = call_tool(
                self._tools, decision.call, trial, picture, self._workbench, self._cancellation
            )
        except TurnCancelled:
            raise
        except LisaError as error:
            self._cancellation.check()
            seconds = time.perf_counter() - begin
            return Observed(call_id, say_error(str(error)), {}, (), True, seconds)
        self._draft.pictures, self._draft.segments = trial.pictures, trial.segments
        self._told.update(segment.name for segment in observed.segments)
        return replace(observed, call_id=call_id)

    # --- Answers ----------------------------------------------------------------------------------

    def _answered(self, said: Say, picture: SessionPicture, conversation: Conversation) -> Outcome:
        before = "".join(self._said)
        segments = tuple(
            self._named(_moved(segment, len(before)), picture) for segment in said.segments
        )
        for segment in segments:
            self._emit(SegmentAdded(segment))
        answer = Answered(before + said.text, segments, said.ending)
        return self._outcome(answer, conversation.answer(said.text))

    def _given_up(
        self,
        ending: Ending,
        observed: Observed | None,
        picture: SessionPicture,
        conversation: Conversation,
    ) -> Outcome:
        text = "" if observed is None else observed.text
        self._say(text)
        return self._answered(Say(text, (), ending), picture, conversation)

    def _named(self, segment: Segment, picture: SessionPicture) -> SessionSegment:
        if segment.status != "found":
            return SessionSegment("", segment.phrase, picture.number, segment, "answer")
        return self._draft.add_segment(segment, segment.phrase, picture.number, "answer")

    def _outcome(self, answer: Answered, conversation: Conversation) -> Outcome:
        return Outcome(answer, tuple(self._steps), conversation, frozenset(self._told))

    def _say(self, text: str) -> None:
        if text:
            self._listener(TextAdded(text))

    def _emit(self, step: Step) -> None:
        self._steps.append(step)
        self._listener(step)


def _is_plain(call: ToolCall) -> bool:
    """Tell whether a call can be written as JSON again, as every face and every file needs it."""
    try:
        json.dumps([call.name, dict(call.arguments)], ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def _moved(segment: Segment, by: int) -> Segment:
    if not by:
        return segment
    begin, end = segment.text_span
    return replace(segment, text_span=(begin + by, end + by))
