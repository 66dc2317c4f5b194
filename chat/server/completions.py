"""Questions about pictures in the form of OpenAI's chat completions, whole or as they grow."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from chat.cancellation import Cancellation
from chat.server.answers import (
    AnswerMessage,
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    finish_reason,
)
from chat.server.assistant import Answer, Assistant, Order
from chat.server.bodies import SegmentBody, StepBody, UsageBody, refusals
from chat.server.desk import Desk, Job, unless_gone
from chat.server.errors import refusal_of
from chat.server.requests import CompletionRequest
from chat.session import ignore
from chat.steps import Answered, Observed, SegmentAdded, Step, TextAdded, Thought, ToolCalled

_STREAM = {"text/event-stream": {"schema": {"type": "string"}}}


def completions_router(assistant: Assistant, desk: Desk) -> APIRouter:
    """Return the route of questions.

    Args:
        assistant: Answers.
        desk: Lets requests wait their turn.
    """
    router = APIRouter()

    @router.post(
        "/v1/chat/completions",
        response_model=Completion,
        responses={200: {"content": _STREAM}, **refusals(404)},
    )
    async def complete(request: Request, body: CompletionRequest) -> Response:
        """Answer the last message of a conversation; with "stream" as server-sent events."""
        order = assistant.read(body)
        if body.stream:
            return await _stream(assistant, desk, order, body, request)
        writer = _Writer(body.model, body.warnings)

        def work(cancellation: Cancellation) -> str:
            return writer.whole(assistant.answer(order, ignore, cancellation)).model_dump_json()

        text = await desk.result(desk.start(work), request.receive)
        return Response(text, media_type="application/json")

    return router


async def _stream(
    assistant: Assistant, desk: Desk, order: Order, body: CompletionRequest, request: Request
) -> Response:
    """Return a response that streams; what goes wrong before the first step is a plain refusal."""
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
    writer = _Writer(body.model, body.warnings)

    def put(chunk: Chunk | None) -> None:
        loop.call_soon_threadsafe(chunks.put_nowait, chunk)

    def listen(step: Step) -> None:
        for chunk in writer.chunks(step):
            put(chunk)

    def work(cancellation: Cancellation) -> Answer:
        return assistant.answer(order, listen, cancellation)

    job = desk.start(work)
    job.future.add_done_callback(lambda _: put(None))
    try:
        first = await unless_gone(chunks.get(), request.receive)
        if first is None:
            job.future.result()
    except BaseException:
        job.stop()
        raise
    usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    events = _events(job, first, chunks, writer, with_usage=usage)
    return StreamingResponse(events, 200, {"cache-control": "no-store"}, "text/event-stream")


async def _events(
    job: Job[Answer],
    first: Chunk | None,
    chunks: asyncio.Queue[Chunk | None],
    writer: _Writer,
    *,
    with_usage: bool,
) -> AsyncIterator[str]:
    """Yield chunks until the job has ended; if nobody reads them any more, stop it."""
    try:
        yield _event(writer.opening().model_dump())
        chunk = first
        while chunk is not None:
            yield _event(chunk.model_dump())
            chunk = await chunks.get()
        try:
            answer = job.future.result()
        except Exception as error:  # noqa: BLE001 - too late for another status: said in the stream
            yield _event(refusal_of(error).body)
            return
        yield _event(writer.closing(answer).model_dump())
        if with_usage:
            yield _event(writer.usage(answer.usage).model_dump())
        yield "data: [DONE]\n\n"
    finally:
        job.stop()


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n"


@dataclass
class _Writer:
    """Writes one answer, whole or in chunks.

    Attributes:
        model: The name that the client used.
        warnings: What it asked for and does not get.
        said: Text that was written in chunks.
        shown: Names of the segments that were.
    """

    model: str
    warnings: list[str]
    said: str = ""
    shown: set[str] = field(default_factory=set)
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answer: Answer) -> Completion:
        """Return an answer in one piece."""
        steps = [
            StepBody.of(step)
            for step in answer.turn.steps
            if isinstance(step, Thought | ToolCalled | Observed)
        ]
        ending = answer.turn.answer.ending
        message = AnswerMessage(
            content=answer.turn.answer.text,
            segments=[SegmentBody.of(one) for one in answer.segments],
            steps=steps,
            ending=ending,
        )
        return Completion(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=[Choice(message=message, finish_reason=finish_reason(ending))],
            usage=answer.usage,
            warnings=self.warnings,
        )

    def opening(self) -> Chunk:
        """Return the chunk that comes first."""
        chunk = self._chunk(Delta(role="assistant", content=""))
        return chunk.model_copy(update={"warnings": self.warnings})

    def chunks(self, step: Step) -> list[Chunk]:
        """Return what a step adds; in the thread of the turn, because masks take time to write."""
        match step:
            case TextAdded():
                return self._text(step.text)
            case Answered():
                return self._text(step.text.removeprefix(self.said))
            case SegmentAdded():
                return [self._chunk(Delta(segments=[SegmentBody.of(step.segment)]))]
            case Observed():
                new = [one for one in step.segments if one.name not in self.shown]
                self.shown.update(one.name for one in new)
                bodies = [SegmentBody.of(one) for one in new] or None
                return [self._chunk(Delta(steps=[StepBody.of(step)], segments=bodies))]
            case Thought() | ToolCalled():
                return [self._chunk(Delta(steps=[StepBody.of(step)]))]

    def closing(self, answer: Answer) -> Chunk:
        """Return the chunk that says why the answer ended."""
        ending = answer.turn.answer.ending
        chunk = self._chunk(Delta(ending=ending))
        chunk.choices[0].finish_reason = finish_reason(ending)
        return chunk

    def usage(self, usage: UsageBody) -> Chunk:
        """Return the chunk that counts tokens."""
        return self._chunk(None).model_copy(update={"usage": usage})

    def _text(self, text: str) -> list[Chunk]:
        self.said += text
        return [self._chunk(Delta(content=text))] if text else []

    def _chunk(self, delta: Delta | None) -> Chunk:
        choices = [] if delta is None else [ChunkChoice(delta=delta)]
        return Chunk(id=self.id, created=self.created, model=self.model, choices=choices)
