"""A model that was trained with tools decides itself: its answer is a call, or the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from chat.deciders.contract import Call, Decision, Misread, Say, TurnView
from chat.speaker import ReadingSpeaker, Speaker
from chat.steps import Ending
from lisa.errors import DataError
from lisa.tokens import TOOL_CALL_END, TOOL_CALL_START
from lisa.tool_calls import read_call
from lisa.types import Conversation, Prediction


class NativeDecider:
    """Tells the model of its tools through its chat template and reads the calls that it writes."""

    def __init__(self, speaker: Speaker, offered: Sequence[str]) -> None:
        """Take a model.

        Args:
            speaker: Says what the model says.
            offered: Names of the tools that the weights were trained with, in their order; others
                are never offered.
        """
        self._speaker = speaker
        self._offered = tuple(offered)

    def next(self, view: TurnView, say: Callable[[str], None]) -> Decision:
        """Let the model speak until it has called a tool or answered."""
        conversation = self._told(view)
        tools = conversation.tools
        stream = _Stream(say, calls=bool(tools))

        def watch(text: str) -> bool:
            return stream.take(text) and not view.cancellation.is_over

        prediction = self._speaker.answer(
            view.picture,
            conversation,
            max_new_tokens=view.max_new_tokens,
            watch=watch,
        )
        text = prediction.text
        stream.take(text)
        begin = text.find(TOOL_CALL_START) if tools else -1
        if begin >= 0:
            return _call(text, begin)
        ending = _ending(prediction, view)
        if tools and ending != "done":  # what was cut off may be the beginning of a call
            text = text[: len(text) - _unsure(text)]
        stream.end(text)
        return Say(text, prediction.segments, ending)

    def read_ahead(self, view: TurnView) -> None:
        """Let the model read the beginning of the next question."""
        if isinstance(self._speaker, ReadingSpeaker):
            self._speaker.read_ahead(view.picture, self._told(view))

    def _told(self, view: TurnView) -> Conversation:
        """Return the conversation with the tools that the model is told of."""
        known = {tool.name: tool.describe for tool in view.tools}
        tools = tuple(known[name] for name in self._offered if name in known)
        return replace(view.conversation, tools=tools)


def _call(text: str, begin: int) -> Decision:
    # What stands behind the first call was written without its result: nobody shall read it.
    written = text[: text.find(TOOL_CALL_END, begin) + len(TOOL_CALL_END)]
    if TOOL_CALL_END not in text[begin:]:
        written = text
    said = text[:begin] if text[:begin].strip() else ""
    try:
        call = read_call(text[begin:])
    except DataError as error:
        return Misread(written, str(error), said)
    assert call is not None
    return Call(call, written, said)


def _ending(prediction: Prediction, view: TurnView) -> Ending:
    if prediction.new_tokens >= view.max_new_tokens:
        return "length"
    return "time" if view.cancellation.is_over else "done"


class _Stream:
    """Passes on an answer as it grows, but nothing that is or may become a call."""

    def __init__(self, say: Callable[[str], None], *, calls: bool) -> None:
        self._say = say
        self._calls = calls
        self._said = 0

    def take(self, text: str) -> bool:
        """Take all of the text so far; False if nothing behind it counts."""
        begin = text.find(TOOL_CALL_START) if self._calls else -1
        if begin >= 0:
            self._pass(text[:begin])
            return TOOL_CALL_END not in text[begin:]
        # A letter of which some bytes are still missing.
        sure = text.rstrip("\N{REPLACEMENT CHARACTER}")
        self._pass(sure[: len(sure) - (_unsure(sure) if self._calls else 0)])
        return True

    def end(self, text: str) -> None:
        """Take the whole answer, which is no call."""
        self._pass(text)

    def _pass(self, text: str) -> None:
        # Blank space before a call is none of the answer's.
        if len(text) > self._said and text.strip():
            self._say(text[self._said :])
            self._said = len(text)


def _unsure(text: str) -> int:
    """Return how many letters at the end may be the beginning of a call."""
    for length in range(min(len(text), len(TOOL_CALL_START)), 0, -1):
        if TOOL_CALL_START.startswith(text[-length:]):
            return length
    return 0
