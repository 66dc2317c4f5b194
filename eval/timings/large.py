"""How much memory long and large things take: `python -m eval.speed large`.

Beside each figure stands what the formulas of docs/speed.md predict, so that a ratio of 1 or more
says that nothing takes more than it should.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from eval.timings.memory import Peak, added_memory, measure_peak
from eval.timings.segment import ASKED, NEW_TOKENS, answer_exactly
from lisa.demo import demo_picture
from lisa.measurement import Measurement
from lisa.models import EncodedImage, Reading
from lisa.pipeline import LisaPipeline
from lisa.types import Conversation, ImageSize

SIDE = 4096
MASKS = 64
TURNS = 50
ROWS = 64
_QUESTION = ASKED.messages[0].text


def measure() -> dict[str, Measurement]:
    """Measure lisa-nano on the CPU.

    Returns:
        MiB that were added at most; the ratio is what was predicted over what was measured.

    Raises:
        DataError: If this installation has no demo picture.
    """
    pipeline = LisaPipeline.from_pretrained("lisa-nano", device="cpu", offline=True)
    return measure_all(pipeline, demo_picture(), SIDE, MASKS, TURNS, ROWS)


def measure_all(
    pipeline: LisaPipeline, picture: Image.Image, side: int, masks: int, turns: int, rows: int
) -> dict[str, Measurement]:
    """Measure a model.

    Args:
        pipeline: On the CPU or a GPU.
        picture: That is asked about.
        side: Of a square, in pixels, to which the picture is stretched for the masks.
        masks: In one answer.
        turns: Of one conversation.
        rows: Conversations in one batch.
    """
    large = pipeline.encode(picture.resize((side, side)))
    shown = pipeline.encode(picture)
    length = pipeline.prompt_length(ASKED, shown.original_size)
    # What only a first answer takes, such as the code of oneDNN's kernels, grows with nothing.
    _turns(pipeline, shown, 1, Reading())
    peaks: dict[str, tuple[Peak | None, float]] = {}
    reading = Reading()
    peak = measure_peak(lambda: _turns(pipeline, shown, turns, reading), pipeline.model.device)
    # No part that is read at once is longer than the first question.
    read = reading_bytes(pipeline, 1, length, len(reading.ids))
    peaks[f"{turns}_turns"] = (peak, read + drawing_bytes(pipeline, 1))
    peaks[f"batch_of_{rows}"] = (
        measure_peak(lambda: _batch(pipeline, shown, rows), pipeline.model.device),
        reading_bytes(pipeline, rows, length, length + NEW_TOKENS)
        + drawing_bytes(pipeline, rows)
        + mask_bytes(rows, shown.original_size),
    )
    peaks[f"{masks}_masks_of_{side}x{side}"] = (
        measure_peak(lambda: _many_masks(pipeline, large, masks), pipeline.model.device),
        reading_bytes(pipeline, 1, length, length + masks)
        + drawing_bytes(pipeline, masks)
        + mask_bytes(masks, large.original_size),
    )
    return {
        name: added_memory(peak, Peak(0.0, predicted))
        for name, (peak, predicted) in peaks.items()
        if peak is not None
    }


def mask_bytes(masks: int, size: ImageSize) -> float:
    """Predict what masks of one size take, at most.

    Each keeps a byte a pixel. While one is made there are its logits, twice in float32, which are
    the probabilities inside it, too.
    """
    pixels = size.height * size.width
    return float(masks * pixels + 4 * 4 * pixels)


def drawing_bytes(pipeline: LisaPipeline, masks: int) -> float:
    """Predict what the mask decoder takes for masks that are drawn together, at most."""
    segmenter = pipeline.model.segmenter
    values = segmenter.prompt_dim * math.prod(segmenter.grid)
    return float(16 * masks * values * pipeline.model.segmenter_dtype.itemsize)


def reading_bytes(pipeline: LisaPipeline, rows: int, length: int, tokens: int) -> float:
    """Predict what reading takes, at most.

    Args:
        pipeline: Whose language model reads.
        rows: Conversations at once.
        length: Tokens of each that are read in one pass.
        tokens: Of each at the end, what was read before and what was said included.
    """
    config: Any = pipeline.model.config.backbone.get_text_config()
    number = pipeline.model.backbone.dtype.itemsize
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kept = 2 * config.num_key_value_heads * width * number
    # One layer's keys and values are there twice while they grow.
    cache = rows * tokens * kept * (config.num_hidden_layers + 1)
    # Looked up, with the picture in them, and on their way from one to the other.
    embeddings = 3 * rows * tokens * config.hidden_size * number
    states = rows * length * (4 * config.hidden_size + 4 * config.intermediate_size) * number
    seen = rows * length * tokens * 5  # a byte of the mask, and its float32 form
    words = 4 * rows * config.vocab_size * 4
    return float(cache + embeddings + states + seen + words)


def _many_masks(pipeline: LisaPipeline, picture: EncodedImage, masks: int) -> object:
    with _pointing(pipeline):
        return answer_exactly(pipeline, picture, [ASKED], masks)


def _batch(pipeline: LisaPipeline, picture: EncodedImage, rows: int) -> object:
    return answer_exactly(pipeline, picture, [ASKED] * rows, NEW_TOKENS)


def _turns(
    pipeline: LisaPipeline, picture: EncodedImage, turns: int, reading: Reading
) -> Conversation:
    conversation = ASKED
    for turn in range(turns):
        if turn:
            conversation = conversation.ask(_QUESTION)
        conversation = answer_exactly(pipeline, picture, [conversation], NEW_TOKENS, reading)
    return conversation


@contextmanager
def _pointing(pipeline: LisaPipeline) -> Iterator[None]:
    """Let the model say nothing but `[SEG]` in the block."""

    def say(module: nn.Module, arguments: Any, logits: Tensor) -> Tensor:
        wanted = torch.full_like(logits, -1e4)
        wanted[..., pipeline.model.config.seg_token_id] = 1e4
        return wanted

    handle = pipeline.model.backbone.get_output_embeddings().register_forward_hook(say)
    try:
        yield
    finally:
        handle.remove()
