"""From what the model gives to segments: logits cut at 0, and the words that they stand for."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from lisa.masks import mask_to_box
from lisa.models import GenerateOutput, LisaConfig
from lisa.phrases import phrase_before
from lisa.processor import LisaProcessor
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN
from lisa.types import ImageSize, Segment, SegmentStatus


def segment_of(
    logits: Tensor,
    certainty: float,
    phrase: str | None = None,
    span: tuple[int, int] = (0, 0),
    image_index: int = 0,
) -> Segment:
    """Cut logits (H, W) at 0; the score is `certainty` times the mean probability inside."""
    inside = logits > 0
    mask = inside.cpu().numpy()
    found = bool(mask.any())
    score = certainty * float(logits[inside].sigmoid().mean()) if found else 0.0
    status: SegmentStatus = "found" if found else "empty"
    return Segment(mask, mask_to_box(mask), score, status, phrase, span, image_index)


def answer_segments(
    processor: LisaProcessor,
    config: LisaConfig,
    output: GenerateOutput,
    row: int,
    size: ImageSize,
    image_index: int,
) -> tuple[str, tuple[Segment, ...]]:
    """Return the words of an answer and one segment for each thing that it shows or denies.

    Args:
        processor: Reads the ids.
        config: Of the model.
        output: Of a batch.
        row: Which answer of it.
        size: Of its picture.
        image_index: Of its picture.
    """
    token_ids = output.token_ids[row].tolist()
    text = processor.decode_answer(token_ids)
    masks = output.masks_of(row)
    segments = []
    end = 0
    for place, token in enumerate(token_ids):
        if token not in (config.seg_token_id, config.reject_token_id):
            continue
        name = SEG_TOKEN if token == config.seg_token_id else REJECT_TOKEN
        # A plain "[SEG]" spelt out in letters may stand before; the text up to here says where to
        # look.
        written = len(processor.decode_answer(token_ids[:place]))
        start = text.find(name, max(end, written))
        end = start + len(name)
        phrase = phrase_before(text, start)
        if token == config.seg_token_id:
            probability = float(output.token_probabilities[row][place])
            segments.append(segment_of(next(masks), probability, phrase, (start, end), image_index))
        else:
            absent = np.zeros(size, dtype=bool)
            segments.append(Segment(absent, None, 0.0, "absent", phrase, (start, end), image_index))
    return text, tuple(segments)
