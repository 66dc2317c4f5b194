"""What the routes ask for: questions are answered and tools used here, in the requests' threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any

from chat.limits import AgentLimits, SessionLimits
from chat.server.batcher import BatchingSpeaker, CountingSpeaker
from chat.server.bodies import UsageBody
from chat.server.conversations import Dialogue, KeptConversations, Question
from chat.server.desk import overdue
from chat.server.errors import Refusal, bad_request
from chat.server.requests import CompletionRequest
from chat.server.restoring import Restorer
from chat.session import ChatSession
from chat.state import SessionSegment, SessionState, Turn
from chat.steps import Observed, Step, ToolCalled
from lisa.tokens import SEG_TOKEN, TOOL_CALL_END, TOOL_CALL_START

if TYPE_CHECKING:
    from chat.cancellation import Cancellation
    from chat.safety.sources import PictureSources
    from chat.server.metrics import Metrics
    from chat.server.settings import ServerSettings
    from chat.tools.contract import Tool
    from chat.workbench import Workbench


@dataclass(frozen=True)
class Order:
    """A request for an answer that makes sense as far as it can be told without pictures.

    Attributes:
        dialogue: What was said.
        tools: What may be used.
        max_new_tokens: Most tokens of the answer.
    """

    dialogue: Dialogue
    tools: tuple[Tool[Any], ...]
    max_new_tokens: int


@dataclass(frozen=True)
class Answer:
    """What came of it.

    Attributes:
        turn: The turn.
        usage: Its tokens.
    """

    turn: Turn
    usage: UsageBody

    @property
    def segments(self) -> list[SessionSegment]:
        """What tools and the answer point at, each name once, in the order of their coming."""
        found: dict[str, SessionSegment] = {}
        for step in self.turn.steps:
            if isinstance(step, Observed):
                found.update({one.name: one for one in step.segments})
        named = {one.name: one for one in self.turn.answer.segments if one.name}
        return [*(found | named).values(), *(s for s in self.turn.answer.segments if not s.name)]


class ServedSession(ChatSession):
    """A session that goes on from a state which others may go on from, too."""

    def go_on_from(self, state: SessionState) -> None:
        """Take a state in the place of the present one."""
        with self._changing():
            self._state = state


class Assistant:
    """The models, and what they remember of conversations."""

    def __init__(
        self,
        workbench: Workbench,
        settings: ServerSettings,
        sources: PictureSources,
        metrics: Metrics,
    ) -> None:
        """Start to speak.

        Args:
            workbench: The models; they are loaded now, not with the first request.
            settings: How much and how long.
            sources: Opens pictures.
            metrics: Counts.
        """
        self.workbench = workbench
        self.settings = settings
        self.metrics = metrics
        self._sources = sources
        self._kept = KeptConversations(settings.kept_conversations, settings.kept_bytes)
        self._speaker = BatchingSpeaker(workbench, settings.batch, metrics.batch)
        tokens = (*workbench.pipeline.processor.tokenizer.control_tokens, TOOL_CALL_START)
        unwanted = tuple(one for one in (*tokens, TOOL_CALL_END) if one != SEG_TOKEN)
        self._restorer = Restorer(sources, unwanted)

    def close(self) -> None:
        """End the model's thread."""
        self._speaker.close()

    @cached_property
    def tools(self) -> tuple[Tool[Any], ...]:
        """What the assistant can do with these models."""
        from chat.tools.registry import tools_for

        return tools_for(self.workbench)

    # --- Questions --------------------------------------------------------------------------------

    def read(self, request: CompletionRequest) -> Order:
        """Check a request as far as it goes without opening pictures.

        Raises:
            Refusal: 404 for another model, 400 for what can never be answered.
        """
        self.check_model(request.model)
        asked = request.max_completion_tokens or request.max_tokens
        most = self.settings.max_new_tokens
        return Order(
            Dialogue.of(request.messages, self.settings.limits.pictures_per_request),
            self._allowed(request),
            most if asked is None else min(asked, most),
        )

    def check_model(self, name: str) -> None:
        """Refuse the name of another model.

        Raises:
            Refusal: 404.
        """
        if name != self.settings.name:
            raise Refusal(
                404,
                f"there is no model {name[:80]!r}: this server has {self.settings.name}.",
                "model_not_found",
                "model",
            )

    def answer(
        self, order: Order, listener: Callable[[Step], None], cancellation: Cancellation
    ) -> Answer:
        """Answer; in a thread of the request's own.

        Args:
            order: The request.
            listener: Hears of the steps.
            cancellation: Stops it.

        Raises:
            LisaError: The question cannot be answered, or nobody wants the answer any more.
            Refusal: Likewise, or the time was over before anything was said.
        """
        begin = perf_counter()
        speaker = CountingSpeaker(self._speaker)
        agent = AgentLimits(seconds=self.settings.seconds, max_new_tokens=order.max_new_tokens)
        session = ServedSession(
            self.workbench,
            speaker=speaker,
            tools=order.tools,
            limits=SessionLimits(
                question_characters=self.settings.limits.turn_characters, agent=agent
            ),
        )
        session.go_on_from(self._state_before(order.dialogue))
        turn = session.ask(
            order.dialogue.question.text, listener=listener, cancellation=cancellation
        )
        if turn.answer.ending == "time" and not turn.answer.text:
            raise overdue(self.settings)
        self._kept.keep(order.dialogue.key_after(turn.answer.text), session.state)
        self._count(turn, perf_counter() - begin, speaker)
        return Answer(turn, _usage(speaker))

    def _state_before(self, dialogue: Dialogue) -> SessionState:
        key = dialogue.past_key
        state = self._kept.find(key) if key else SessionState()
        if state is None:
            state = self._restorer.restore(dialogue)
        state = self._restorer.show(state, dialogue.question)
        if not state.pictures:
            raise bad_request(
                "the conversation shows no picture: send one as a content part of the type "
                "image_url.",
                "messages",
            )
        return state

    def _allowed(self, request: CompletionRequest) -> tuple[Tool[Any], ...]:
        if request.tool_choice == "none":
            return ()
        if request.tools is None:
            return self.tools
        known = {tool.name: tool for tool in self.tools}
        wanted = [one.function.name for one in request.tools]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise bad_request(
                f"the server runs its own tools only, and {unknown[0]!r} is none of them: name "
                f"some of {', '.join(known)}, or leave tools out.",
                "tools",
                "unknown_tool",
            )
        return tuple(tool for tool in self.tools if tool.name in wanted)

    def _count(self, turn: Turn, seconds: float, speaker: CountingSpeaker) -> None:
        self.metrics.turn(
            turn.answer.ending, seconds, speaker.prompt_tokens, speaker.completion_tokens
        )
        self.metrics.kept(len(self._kept))
        called = {step.call_id: step.tool for step in turn.steps if isinstance(step, ToolCalled)}
        known = {tool.name for tool in self.tools}
        for step in turn.steps:
            if isinstance(step, Observed):
                name = called.get(step.call_id)
                self.metrics.tool(name if name in known else "unknown", step.is_error)

    # --- Tools ------------------------------------------------------------------------------------

    def use(
        self,
        tool: str,
        picture: str,
        calls: Sequence[Mapping[str, Any]],
        cancellation: Cancellation,
    ) -> list[Observed]:
        """Use a tool on a picture, once or several times; in a thread of the request's own.

        Args:
            tool: Its name.
            picture: Address of the picture.
            calls: Arguments of each call.
            cancellation: Stops it.

        Returns:
            What each call found. A thing that several found has one name.

        Raises:
            LisaError: A picture or arguments are refused, or the tool cannot answer.
            Refusal: 404 if the server has no model for the tool.
        """
        if tool not in {one.name for one in self.tools}:
            raise Refusal(404, f"this server has no model that can {tool}.", "no_model_for_tool")
        session = ServedSession(self.workbench, tools=self.tools)
        shown = Question("", (picture,))
        session.go_on_from(self._restorer.show(SessionState(), shown))
        found = []
        for arguments in calls:
            found.append(session.use(tool, arguments, cancellation=cancellation))
            self.metrics.tool(tool, False)
        return found


def _usage(speaker: CountingSpeaker) -> UsageBody:
    read, written = speaker.prompt_tokens, speaker.completion_tokens
    return UsageBody(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)
