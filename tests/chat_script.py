"""A model that says what a test wants, for everything around it: sessions, servers, pages.

    session = scripted_session(["It is the cup [SEG]."])
    session.add_picture(plain_picture())
    session.ask("What can I drink from?").answer.segments[0].label  # "#1 cup"

No weights are loaded. What it proves is everything but the choice of words and masks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from PIL import Image
from pydantic import Field

from chat.deciders import NativeDecider
from chat.limits import SessionLimits
from chat.session import ChatSession
from chat.state import SessionPicture
from chat.tools.contract import NewSegment, Tool, ToolArguments, ToolResult, ToolScene
from lisa.captions import NamedThing
from lisa.errors import DataError
from lisa.masks import mask_to_box
from lisa.phrases import phrase_before
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN
from lisa.tool_calls import ToolCall, write_call
from lisa.types import Box, Conversation, Prediction, Segment

BOX: Box = (10, 10, 30, 30)
"""What a `[SEG]` shows when the script gives no box."""


@dataclass(frozen=True)
class Reply:
    """What the scripted model says next.

    Attributes:
        text: With `[SEG]` and `[REJ]` in it.
        boxes: What each `[SEG]` shows, in order; `BOX` where there are too few.
    """

    text: str
    boxes: tuple[Box, ...] = ()


def call(name: str, **arguments: object) -> str:
    """A reply that calls a tool."""
    return write_call(ToolCall(name, arguments))


Script = Sequence[str | Reply] | Callable[[SessionPicture, Conversation], str | Reply]


@dataclass
class ScriptedSpeaker:
    """Replies from a list, one after the other, or by a function of picture and conversation.

    Attributes:
        script: The replies.
        pause: Seconds before each word.
        heard: The conversations that it was given.
    """

    script: Script
    pause: float = 0.0
    heard: list[Conversation] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(
        self,
        picture: SessionPicture,
        conversation: Conversation,
        *,
        max_new_tokens: int,
        watch: Callable[[str], bool],
    ) -> Prediction:
        """Say the next reply word by word, as long as it is wanted."""
        with self.lock:
            self.heard.append(conversation)
            place = len(self.heard) - 1
        said = self.script(picture, conversation) if callable(self.script) else self.script[place]
        reply = said if isinstance(said, Reply) else Reply(said)
        text, words = "", 0
        for word in reply.text.replace(" ", " \0").split("\0"):
            if words == max_new_tokens:
                break
            time.sleep(self.pause)
            text, words = text + word, words + 1
            if not watch(text):
                break
        segments = _segments(text, reply.boxes, picture.image)
        return Prediction(text, segments, conversation.answer(text), words)


def _segments(text: str, boxes: tuple[Box, ...], image: Image.Image) -> tuple[Segment, ...]:
    segments = []
    shown = iter(boxes)
    end = 0
    while places := [p for t in (SEG_TOKEN, REJECT_TOKEN) if (p := text.find(t, end)) >= 0]:
        start = min(places)
        found = text.startswith(SEG_TOKEN, start)
        end = start + len(SEG_TOKEN if found else REJECT_TOKEN)
        phrase = phrase_before(text, start)
        mask = box_mask(image, next(shown, BOX)) if found else box_mask(image, (0, 0, 0, 0))
        status = "found" if mask.any() else "empty" if found else "absent"
        score = 0.9 if status == "found" else 0.0
        segments.append(Segment(mask, mask_to_box(mask), score, status, phrase, (start, end)))
    return tuple(segments)


def box_mask(image: Image.Image, box: Box) -> np.ndarray:
    """A mask that fills a box."""
    mask = np.zeros((image.height, image.width), dtype=bool)
    x0, y0, x1, y1 = map(int, box)
    mask[y0:y1, x0:x1] = True
    return mask


def box_segment(image: Image.Image, box: Box) -> Segment:
    """A segment that fills a box."""
    mask = box_mask(image, box)
    return Segment(mask, mask_to_box(mask), 0.9, "found", None, (0, 0))


def plain_picture(shade: int = 120, size: tuple[int, int] = (80, 60)) -> Image.Image:
    """A grey picture; another shade is another picture."""
    return Image.new("RGB", size, (shade, shade, shade))


class ScriptedWorkbench:
    """A workbench without models: things are where the script says.

    Attributes:
        things: Boxes by name, in every picture.
        asked: What was looked for by words.
    """

    def __init__(self, things: Mapping[str, Box] | None = None) -> None:
        self.things = dict(things or {})
        self.asked: list[str] = []
        self.lock = threading.RLock()
        self.encodings = 0
        self.pipeline = SimpleNamespace(segment_region=self._region)

    def encode(self, picture: SessionPicture) -> Image.Image:
        """The picture itself."""
        self.encodings += 1
        return picture.image

    def find(self, picture: SessionPicture, names: Sequence[str] | None) -> tuple[NamedThing, ...]:
        """Those of the names that the script knows."""
        self.asked += names or []
        wanted = self.things if names is None else [name for name in names if name in self.things]
        return tuple(
            NamedThing(name, box_segment(picture.image, self.things[name])) for name in wanted
        )

    def _region(
        self,
        image: Image.Image,
        *,
        boxes: Sequence[Box] | None = None,
        points: Sequence[tuple[float, float]] | None = None,
    ) -> list[Segment]:
        if boxes:
            return [box_segment(image, boxes[0])]
        assert points
        (x, y), *_ = points
        return [box_segment(image, (max(0, x - 8), max(0, y - 8), x + 8, y + 8))]


class FindArguments(ToolArguments):
    """Arguments of `FindTool`."""

    thing: str = Field(description="A name or words.")


class FindTool(Tool[FindArguments]):
    """Resolves a reference, and says what it means."""

    name = "find"
    description = "Finds a thing."
    arguments = FindArguments

    def run(self, arguments: FindArguments, scene: ToolScene) -> ToolResult:
        """Find it."""
        found = scene.find(arguments.thing)
        return ToolResult(f"that is {found.label}", {"name": found.name}, (found,))


class MakeArguments(ToolArguments):
    """Arguments of `MakeTool`."""

    what: str = Field(description="Words.")
    box: list[float] = Field(description="Pixels.", min_length=4, max_length=4)
    fail: bool = Field(default=False, description="Whether to fail afterwards.")


class MakeTool(Tool[MakeArguments]):
    """Makes a segment of a box."""

    name = "make"
    description = "Makes a segment."
    arguments = MakeArguments

    def run(self, arguments: MakeArguments, scene: ToolScene) -> ToolResult:
        """Make it."""
        x0, y0, x1, y1 = arguments.box
        segment = box_segment(scene.picture.image, (x0, y0, x1, y1))
        made = scene.add(NewSegment(segment, arguments.what))
        if arguments.fail:
            raise DataError("it broke.")
        return ToolResult(f"{made.label} is made", {"name": made.name}, (made,))


def scripted_session(
    script: Script,
    *,
    tools: Sequence[Tool] = (FindTool(), MakeTool()),
    things: Mapping[str, Box] | None = None,
    limits: SessionLimits | None = None,
    pause: float = 0.0,
) -> ChatSession:
    """A session whose model says what the script says; its speaker is `session._speaker`."""
    speaker = ScriptedSpeaker(script, pause)
    return ChatSession(
        ScriptedWorkbench(things),
        speaker=speaker,
        decider=NativeDecider(speaker, [tool.name for tool in tools]),
        tools=tools,
        limits=limits,
    )
