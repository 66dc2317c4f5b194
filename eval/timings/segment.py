"""How long answers take, beside LISA's own way of working: `python -m eval.speed segment`.

A first turn encodes the picture, says twelve tokens and draws the masks; a second turn asks again
about the same picture. Both ways say the same number of tokens, with the same weights, in turns.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from eval.timings.ceiling import measure_ceiling
from eval.timings.memory import MIB, added_memory, measure_peak
from eval.timings.original_way import OriginalWay
from eval.timings.work import count_work
from lisa.demo import demo_picture
from lisa.measurement import Measurement, in_turns, seconds
from lisa.types import Conversation

if TYPE_CHECKING:
    from PIL import Image

    from lisa.models import EncodedImage, Reading
    from lisa.pipeline import LisaPipeline

NEW_TOKENS = 12
ROUNDS = 5
# lisa-nano answers both with twelve tokens by itself, so that nothing unnatural is forced on it.
ASKED = Conversation().ask("Segment the mug and the avocado.", 0)
SECOND = "Thank you, and now please show me the strawberry and the mug."


def measure() -> dict[str, Measurement]:
    """Measure lisa-nano and a model of half a billion parameters on the CPU, 7B and 13B on a GPU.

    Returns:
        Seconds of a first and a second turn, with how many times sooner they end than the
        original's way; the memory that a first turn takes beside the model; the operations that it
        asks for; and how close it comes to what the machine can do.

    Raises:
        DataError: If this installation has no demo picture.
    """
    found: dict[str, Measurement] = {}
    for name, rounds, load in _shapes():
        try:
            found |= {f"{name}_{what}": value for what, value in compare(load, rounds).items()}
        except torch.OutOfMemoryError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return found


def compare(load: Callable[[bool], LisaPipeline], rounds: int = ROUNDS) -> dict[str, Measurement]:
    """Measure one model both ways.

    Args:
        load: Builds it; True for how we use it, False for plain weights.
        rounds: How often.
    """
    pipeline, plain, image = load(True), load(False), demo_picture()
    for one in (pipeline, plain):
        one.model.requires_grad_(False)
    ours, original = _Ours(pipeline, image), _Original(OriginalWay(plain), image)
    first, slow_first, second, slow_second = in_turns(
        (
            ours.first_turn,
            original.first_turn,
            ours.second_turn,
            lambda: original.second_turn(ours.asked_again),
        ),
        rounds,
    )
    found = {
        "first_turn": Measurement.of(first, "s", slow_first),
        "second_turn": Measurement.of(second, "s", slow_second),
    }
    device = pipeline.model.device
    mine, theirs = (measure_peak(one.first_turn, device) for one in (ours, original))
    if mine is not None and theirs is not None:
        found["first_turn_memory"] = added_memory(mine, theirs)
        found["peak_memory"] = Measurement.of([mine.most / MIB], "MiB")
    work, slow_work = (count_work(one.first_turn) for one in (ours, original))
    found["first_turn_work"] = Measurement.of([work.flops / 1e9], "GFLOP", [slow_work.flops / 1e9])
    ceiling = measure_ceiling(device, pipeline.model.dtype)
    shares = [ceiling.share(work.flops, work.bytes, took) for took in first]
    found["first_turn_share_of_ceiling"] = Measurement.of(shares, "of the roofline")
    return found


def answer_exactly(
    pipeline: LisaPipeline,
    picture: EncodedImage,
    conversations: Sequence[Conversation],
    new_tokens: int,
    reading: Reading | None = None,
) -> Conversation:
    """Answer conversations about one picture with so many tokens each, whatever they say.

    Returns:
        The first conversation with its answer.
    """
    return pipeline.answer(
        [picture],
        conversations,
        [0] * len(conversations),
        min_new_tokens=new_tokens,
        max_new_tokens=new_tokens,
        reading=reading,
    )[0].conversation


class _Ours:
    """Turns as `lisa chat` takes them: what was encoded and read stays.

    Attributes:
        asked_again: The conversation up to the second question, once the first turn is over.
    """

    def __init__(self, pipeline: LisaPipeline, image: Image.Image) -> None:
        self._pipeline, self._image = pipeline, image
        self.asked_again = Conversation()

    def first_turn(self) -> float:
        return seconds(self._first)

    def second_turn(self) -> float:
        return seconds(lambda: self._answer(self.asked_again))

    def _first(self) -> None:
        from lisa.models import Reading

        self._reading = Reading()
        self._encoded = self._pipeline.encode(self._image)
        self.asked_again = self._answer(ASKED).ask(SECOND)

    def _answer(self, conversation: Conversation) -> Conversation:
        # The same number of tokens with all weights, or the times do not compare.
        return answer_exactly(
            self._pipeline, self._encoded, [conversation], NEW_TOKENS, self._reading
        )


class _Original:
    """The same turns the original's way."""

    def __init__(self, way: OriginalWay, image: Image.Image) -> None:
        self._way, self._image = way, image

    def first_turn(self) -> float:
        return self.second_turn(ASKED)

    def second_turn(self, conversation: Conversation) -> float:
        return seconds(lambda: self._way.answer(self._image, conversation, NEW_TOKENS))


def _shapes() -> Sequence[tuple[str, int, Callable[[bool], LisaPipeline]]]:
    """Return names of models, for how many rounds each is worth waiting, and how it is built."""
    from eval.timings.random_pipelines import HALF_BILLION, LISA_13B, random_pipeline
    from lisa.models.packing import packing_pays
    from lisa.pipeline import LisaPipeline
    from lisa.released.random_model import LISA_7B

    cpu = torch.device("cpu")
    shapes: list[tuple[str, int, Callable[[bool], LisaPipeline]]] = [
        (
            "nano_cpu",
            ROUNDS,
            lambda packed: LisaPipeline.from_pretrained(
                "lisa-nano", device="cpu", offline=True, pack_weights=packed
            ),
        ),
        # The original's way takes it a minute or more for each turn.
        ("half_billion_cpu", 2, lambda packed: random_pipeline(cpu, HALF_BILLION, packed)),
    ]
    if packing_pays(cpu, torch.float16):
        half = {True: "float16", False: "float32"}
        shapes.append(
            (
                "nano_float16_cpu",
                ROUNDS,
                lambda packed: LisaPipeline.from_pretrained(
                    "lisa-nano", device="cpu", dtype=half[packed], offline=True, pack_weights=packed
                ),
            )
        )
    if torch.cuda.is_available():
        gpu = torch.device("cuda")
        shapes += [
            ("7b_cuda", ROUNDS, lambda packed: random_pipeline(gpu, LISA_7B, packed)),
            ("13b_cuda", ROUNDS, lambda packed: random_pipeline(gpu, LISA_13B, packed)),
        ]
    return shapes
