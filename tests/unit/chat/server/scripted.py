"""A server whose model says what a test wants, over a real socket.

    with served(settings=quick_settings()) as server:
        client = server.openai()

The default script answers with the shade of the picture's first pixel and a mask whose place
depends on it, so an answer shows which picture it belongs to.
"""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
from PIL import Image

from chat.safety.sources import PictureSources
from chat.server.app import create_app
from chat.server.serving import PatientServer, server_for
from chat.server.settings import ServerSettings
from chat.state import SessionPicture
from chat.workbench import Workbench
from lisa.errors import PromptError
from lisa.masks import mask_to_box
from lisa.tagging import Tag
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN
from lisa.types import Conversation, ImageSize, Prediction, Segment
from tests.chat_script import box_mask, box_segment

TOOLS = ("tag", "describe_region", "measure", "crop", "edit")
KEY = "a-key-of-thirty-two-characters-00"
Script = Callable[[Image.Image, Conversation], str]


def box_of(segment: Mapping[str, Any]) -> tuple[int, ...]:
    """The box of a segment as the server writes it."""
    return tuple(int(edge) for edge in segment["box"])


def shade_of(image: Image.Image) -> int:
    """The number that tells pictures of these tests apart."""
    pixel = image.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return int(pixel[0])


def place_of_shade(shade: int) -> tuple[int, int, int, int]:
    """Where the scripted model points in a picture of a shade."""
    x, y = shade % 30, shade // 30
    return x, y, x + 10, y + 10


def say_shade(image: Image.Image, conversation: Conversation) -> str:
    """The default script."""
    return f"The shade {shade_of(image)} {SEG_TOKEN}."


@dataclass(frozen=True, eq=False)
class ScriptedEncoding:
    """A picture as the scripted model sees it."""

    image: Image.Image
    original_size: ImageSize


@dataclass
class ScriptedPipeline:
    """In the place of `LisaPipeline`: a word is a token.

    Attributes:
        script: What it answers.
        step_seconds: How long the next word takes, for all rows of a batch together.
        batches: Sizes of the batches so far.
        readings: What each batch was given of earlier turns.
        words_said: Words of all answers so far.
    """

    script: Script = say_shade
    step_seconds: float = 0.0
    tools: tuple[str, ...] = TOOLS
    context_length: int = 512
    batches: list[int] = field(default_factory=list)
    readings: list[Any] = field(default_factory=list)
    words_said: int = 0

    def __post_init__(self) -> None:
        self.processor = SimpleNamespace(
            settings=SimpleNamespace(tools=self.tools, context_length=self.context_length),
            tokenizer=SimpleNamespace(control_tokens=(SEG_TOKEN, REJECT_TOKEN, "<|im_end|>")),
        )

    def encode(self, image: Image.Image) -> ScriptedEncoding:
        """Keep the picture."""
        return ScriptedEncoding(image, ImageSize(image.height, image.width))

    def kept_bytes(self, size: ImageSize) -> int:
        """Some."""
        return 3 * size.height * size.width

    def prompt_length(self, conversation: Conversation, size: ImageSize) -> int:
        """Count words."""
        length = sum(len(message.text.split()) for message in conversation.messages)
        if length >= self.context_length:
            raise PromptError(f"the conversation has {length} words: ask in fewer.")
        return length

    def answer(
        self,
        images: Sequence[ScriptedEncoding],
        conversations: Sequence[Conversation],
        image_index: Sequence[int],
        *,
        max_new_tokens: int = 512,
        watch: Callable[[int, str], bool] = lambda row, text: True,
        **others: Any,
    ) -> list[Prediction]:
        """Answer a batch word by word; a row that nobody wants any more stops."""
        self.batches.append(len(conversations))
        self.readings.append(others.get("reading"))
        rows = range(len(conversations))
        words = [self._words(images[image_index[row]], conversations[row]) for row in rows]
        said = ["" for _ in rows]
        counts = [0 for _ in rows]
        going = set(rows)
        for step in range(max_new_tokens):
            going = {row for row in going if step < len(words[row])}
            if not going:
                break
            time.sleep(self.step_seconds)
            for row in sorted(going):
                said[row] += words[row][step]
                counts[row] += 1
                self.words_said += 1
                if not watch(row, said[row]):
                    going.discard(row)
        return [
            Prediction(
                said[row],
                self._segments(said[row], images[image_index[row]].image),
                conversations[row].answer(said[row]),
                counts[row],
            )
            for row in rows
        ]

    def segment_region(
        self,
        image: ScriptedEncoding,
        *,
        boxes: Sequence[Sequence[float]] | None = None,
        points: Sequence[Sequence[float]] | None = None,
    ) -> list[Segment]:
        """Fill the box, or a square around the first point."""
        if boxes:
            return [box_segment(image.image, tuple(boxes[0]))]
        assert points is not None
        x, y = points[0]
        return [box_segment(image.image, (max(0, x - 5), max(0, y - 5), x + 5, y + 5))]

    def _words(self, image: ScriptedEncoding, conversation: Conversation) -> list[str]:
        return self.script(image.image, conversation).replace(" ", " \0").split("\0")

    def _segments(self, text: str, image: Image.Image) -> tuple[Segment, ...]:
        start = text.find(SEG_TOKEN)
        if start < 0:
            return ()
        mask = box_mask(image, place_of_shade(shade_of(image)))
        phrase, span = f"shade {shade_of(image)}", (start, start + len(SEG_TOKEN))
        return (Segment(mask, mask_to_box(mask), 0.9, "found", phrase, span),)


class ScriptedBench(Workbench):
    """A workbench around a scripted model: one tag with the shade in it, nothing else."""

    def has(self, part: str) -> bool:
        """Tell that only pictures can be tagged."""
        return part == "tagger"

    def tags(self, picture: SessionPicture) -> tuple[Tag, ...]:
        """One tag."""
        return (Tag(f"shade {shade_of(picture.image)}", 0.9, 0.5, "object"),)

    def promptable(self, picture: SessionPicture) -> Any:
        """Nothing: the scripted model needs no features."""

    def find(self, picture: SessionPicture, names: Sequence[str] | None) -> tuple[Any, ...]:
        """Nothing is found by name."""
        return ()


def bench_of(pipeline: ScriptedPipeline) -> ScriptedBench:
    """A workbench with this model."""
    return ScriptedBench.of(pipeline)  # type: ignore[arg-type]


def picture(shade: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A picture of one shade."""
    return Image.new("RGB", size, (shade, shade, shade))


def data_url(image: Image.Image | bytes, kind: str = "png") -> str:
    """A picture as clients send it."""
    if isinstance(image, Image.Image):
        file = io.BytesIO()
        image.save(file, format="PNG")
        image = file.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def shown(url: str, text: str) -> dict[str, Any]:
    """A question about a picture."""
    parts = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": text},
    ]
    return {"role": "user", "content": parts}


def asked(shade: int = 100, text: str = "What shade?", **more: Any) -> dict[str, Any]:
    """A whole request."""
    messages = [shown(data_url(picture(shade)), text)]
    return {"model": "lisa-nano", "messages": messages, **more}


def pixels_of(mask: Mapping[str, Any]) -> np.ndarray:
    """A mask of an answer."""
    from lisa.masks import decode_rle

    return decode_rle(mask)


@dataclass
class Served:
    """A running server."""

    url: str
    port: int
    server: PatientServer
    pipeline: Any
    bench: Workbench
    key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """With the key, if there is one."""
        return {} if self.key is None else {"authorization": f"Bearer {self.key}"}

    def client(self, **options: Any) -> httpx.Client:
        """A plain client."""
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=30, **options)

    def openai(self, **options: Any) -> Any:
        """The official client."""
        from openai import OpenAI

        options = {"max_retries": 0, "timeout": 30, "api_key": self.key or "none"} | options
        return OpenAI(base_url=f"{self.url}/v1", **options)

    def metric(self, name: str) -> float:
        """The sum of a counter over its labels."""
        lines = self.client().get("/metrics").text.splitlines()
        found = [line for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)


@contextmanager
def served(
    pipeline: ScriptedPipeline | None = None,
    settings: ServerSettings | None = None,
    sources: PictureSources | None = None,
    workbench: Workbench | None = None,
) -> Iterator[Served]:
    """Run a server in a thread, on a free port."""
    settings = settings or ServerSettings()
    model = pipeline or ScriptedPipeline()
    bench = workbench or bench_of(model)
    app = create_app(bench, settings, sources or PictureSources(settings.limits))
    server = server_for(app, settings, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started or not thread.is_alive())
        port = server.servers[0].sockets[0].getsockname()[1]
        key = None if settings.key is None else settings.key.secret
        yield Served(f"http://127.0.0.1:{port}", port, server, model, bench, key)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
