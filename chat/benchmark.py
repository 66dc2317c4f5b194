"""How much sooner a second turn about a picture begins to answer than the first one.

python -m eval.speed chat
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lisa.demo import demo_picture
from lisa.errors import DataError
from lisa.measurement import Measurement

if TYPE_CHECKING:
    from PIL import Image

    from chat.speaker import LocalSpeaker
    from chat.state import SessionPicture
    from chat.workbench import Workbench
    from lisa.types import Conversation, Prediction

REPEATS = 5
FIRST = "Which of these is mashed into guacamole?"
SECOND = "Thank you, and now please show me the thing that people use for drinking coffee."
"""Fifteen words."""


def measure() -> dict[str, Measurement]:
    """Measures two turns about a picture with lisa-nano, on this machine's CPU.

    Returns:
        Seconds from the question to the model's first token, of an answer or of a call, in five
        sessions, each with a picture that the model has not seen; the second turn's ratio is to the
        first turn. And how often a picture was encoded in a session.

    Raises:
        DataError: This installation has no demo picture.
    """
    from chat.workbench import ModelChoice, Workbench

    workbench = Workbench(ModelChoice(device="cpu", offline=True))
    picture = demo_picture()
    # The first session also warms up what torch sets up once.
    measured = [_two_turns(workbench, picture, shade) for shade in range(REPEATS + 1)][1:]
    first, second = ([one[turn] for one in measured] for turn in range(2))
    return {
        "first_turn_first_token": Measurement.of(first, "s"),
        "second_turn_first_token": Measurement.of(second, "s", first),
        "encodings_per_session": Measurement.of([workbench.encodings / (REPEATS + 1)], "encodings"),
    }


def _two_turns(workbench: Workbench, picture: Image.Image, shade: int) -> tuple[float, float]:
    from chat.deciders import NativeDecider
    from chat.session import ChatSession
    from chat.speaker import LocalSpeaker

    speaker = _TimedSpeaker(LocalSpeaker(workbench))
    tools = workbench.pipeline.processor.settings.tools
    session = ChatSession(workbench, speaker=speaker, decider=NativeDecider(speaker, tools))
    # Listed once before the clock runs: it loads the models of the tools.
    if not session.tools:
        raise DataError("this installation has no tools: install it again.")
    # A corner of its own makes it a new picture for whatever remembers pictures.
    corner = picture.copy()
    corner.putpixel((0, 0), (shade, shade, shade))
    session.add_picture(corner)
    times: list[float] = []
    for question in (FIRST, SECOND):
        speaker.first_token = None
        begin = time.perf_counter()
        session.ask(question)
        assert speaker.first_token is not None
        times.append(speaker.first_token - begin)
    return times[0], times[1]


class _TimedSpeaker:
    """Notes when another speaker's first token came."""

    def __init__(self, speaker: LocalSpeaker) -> None:
        self._speaker = speaker
        self.first_token: float | None = None

    def answer(
        self,
        picture: SessionPicture,
        conversation: Conversation,
        *,
        max_new_tokens: int,
        watch: Callable[[str], bool],
    ) -> Prediction:
        """Say what the other one says."""

        def timed(text: str) -> bool:
            if self.first_token is None:
                self.first_token = time.perf_counter()
            return watch(text)

        return self._speaker.answer(
            picture, conversation, max_new_tokens=max_new_tokens, watch=timed
        )

    def read_ahead(self, picture: SessionPicture, conversation: Conversation) -> None:
        """Read what the other one reads."""
        self._speaker.read_ahead(picture, conversation)
