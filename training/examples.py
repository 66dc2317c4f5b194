"""From a sample to what the model takes (ids, labels, pixels, masks), and from many to a batch.

Nothing is lost without a word: turns that do not fit are counted, and a `[SEG]` that would be cut
off makes the sample a damaged one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lisa.data.records import Dialogue
from lisa.errors import DataError, PromptError
from lisa.images import open_image
from lisa.processor import ImageInputs, LisaProcessor
from lisa.prompts import SupervisedIds
from lisa.tokenization import escape_control_tokens
from lisa.tokens import IGNORE_INDEX, REJECT_TOKEN, SEG_TOKEN
from lisa.types import Conversation, ImageSize, Message, TextPart
from training.samples import Sample


@dataclass(frozen=True, eq=False)
class Example:
    """One picture with its conversations as tensors.

    Attributes:
        key: Of the record.
        rows: One per conversation, image tokens expanded.
        masks: Per conversation bool (S_i, H, W).
        image: The picture, B = 1.
        shortened: How many conversations lost their last turns or words.
    """

    key: str
    rows: tuple[SupervisedIds, ...]
    masks: tuple[Tensor, ...]
    image: ImageInputs
    shortened: int


@dataclass(frozen=True, eq=False)
class Batch:
    """N conversations about B pictures, ready for `LisaModel.forward`.

    Attributes:
        keys: Of the B records.
        input_ids: (N, T), padded on the right; image tokens expanded.
        attention_mask: (N, T) bool.
        labels: (N, T), `IGNORE_INDEX` where nothing is supervised.
        image_index: (N,) long: the picture of each conversation.
        images: The B pictures.
        gt_masks: Per conversation bool (S_i, H, W).
        shortened: How many conversations lost their last turns or words.
    """

    keys: tuple[str, ...]
    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    image_index: Tensor
    images: ImageInputs
    gt_masks: tuple[Tensor, ...]
    shortened: int

    @property
    def text_count(self) -> int:
        """Supervised tokens: labels that a position before them predicts."""
        return int((self.labels[:, 1:] != IGNORE_INDEX).sum())

    @property
    def mask_count(self) -> int:
        """Masks to learn from."""
        return sum(map(len, self.gt_masks))


def encode_sample(sample: Sample, processor: LisaProcessor, max_length: int) -> Example:
    """Turn a sample into tensors.

    Args:
        sample: One picture and its conversations.
        processor: Of the model that learns.
        max_length: Most positions of a conversation, image tokens included.

    Raises:
        DataError: If a mask is missing, damaged or of another size than the picture, or if a
            `[SEG]` does not fit into `max_length`.
        ImageError: If the picture cannot be read.
    """
    image = open_image(sample.image)
    size = ImageSize(image.height, image.width)
    rows, masks, shortened = [], [], 0
    for dialogue in sample.dialogues:
        row, kept, lost = _encode_dialogue(dialogue, size, processor, max_length, sample.key)
        rows.append(row)
        masks.append(_read_masks(kept, size, sample.key))
        shortened += lost
    return Example(
        sample.key, tuple(rows), tuple(masks), processor.encode_images([image]), shortened
    )


def _encode_dialogue(
    dialogue: Dialogue, size: ImageSize, processor: LisaProcessor, max_length: int, key: str
) -> tuple[SupervisedIds, Dialogue, bool]:
    """Encode a dialogue; one that is too long loses its last turns, the first turn its last words.

    Returns:
        The ids, the dialogue as far as it is in them, and whether anything was lost.
    """
    most = min(max_length, processor.settings.context_length)
    kept, row = dialogue, _encode(dialogue, size, processor, key)
    whole = len(row.input_ids)
    while len(row.input_ids) > most and len(kept.conversation.messages) > 2:
        kept = _without_last_turn(kept)
        row = _encode(kept, size, processor, key)
    cut = SupervisedIds(row.input_ids[:most], row.labels[:most])
    lost = len(cut.input_ids) < len(row.input_ids)
    if lost and (kept.segments or all(label == IGNORE_INDEX for label in cut.labels)):
        raise DataError(
            f"{key} has a turn of {len(row.input_ids)} tokens with its picture, and the run takes "
            f"{most}: raise max_length or shorten the turn."
        )
    return cut, kept, len(cut.input_ids) < whole


def _encode(
    dialogue: Dialogue, size: ImageSize, processor: LisaProcessor, key: str
) -> SupervisedIds:
    try:
        return processor.encode_example(_escape(dialogue.conversation, processor), size=size)
    except PromptError as error:
        raise DataError(f"{key} cannot be put into the template: {error}") from error


def _without_last_turn(dialogue: Dialogue) -> Dialogue:
    """Drop the last question and answer together with the masks of that answer."""
    messages = dialogue.conversation.messages
    gone = sum(message.text.count(SEG_TOKEN) for message in _answers(messages[-2:]))
    kept = dialogue.segments[: len(dialogue.segments) - gone]
    return Dialogue(Conversation(messages[:-2]), kept)


def _answers(messages: Sequence[Message]) -> list[Message]:
    return [message for message in messages if message.role == "assistant"]


def _escape(conversation: Conversation, processor: LisaProcessor) -> Conversation:
    """Break control tokens that the data holds; in answers the two that mean something stay."""
    everything = set(processor.tokenizer.control_tokens)
    return Conversation(
        tuple(
            Message(
                message.role,
                tuple(
                    TextPart(
                        escape_control_tokens(
                            part.text,
                            everything - {SEG_TOKEN, REJECT_TOKEN}
                            if message.role == "assistant"
                            else everything,
                        )
                    )
                    if isinstance(part, TextPart)
                    else part
                    for part in message.parts
                ),
            )
            for message in conversation.messages
        )
    )


def _read_masks(dialogue: Dialogue, size: ImageSize, key: str) -> Tensor:
    wanted = sum(m.text.count(SEG_TOKEN) for m in _answers(dialogue.conversation.messages))
    if wanted != len(dialogue.segments):
        raise DataError(
            f"{key} has {wanted} {SEG_TOKEN} in its answers and {len(dialogue.segments)} masks: "
            "give one mask for each."
        )
    masks = np.zeros((wanted, *size), dtype=bool)
    for place, source in enumerate(dialogue.segments):
        mask = source.read()
        if mask.shape != size:
            raise DataError(
                f"{key} has a mask of {mask.shape[0]} x {mask.shape[1]} pixels (height x width), "
                f"but its picture has {size.height} x {size.width}."
            )
        masks[place] = mask
    return torch.from_numpy(masks)


def collate(examples: Sequence[Example], processor: LisaProcessor) -> Batch:
    """Put examples side by side."""
    rows = [row for example in examples for row in example.rows]
    width = max(len(row.input_ids) for row in rows)
    pad = processor.tokenizer.pad_token_id
    ids = [row.input_ids + [pad] * (width - len(row.input_ids)) for row in rows]
    labels = [row.labels + [IGNORE_INDEX] * (width - len(row.labels)) for row in rows]
    lengths = torch.tensor([len(row.input_ids) for row in rows])
    owners = [i for i, example in enumerate(examples) for _ in example.rows]
    return Batch(
        keys=tuple(example.key for example in examples),
        input_ids=torch.tensor(ids),
        attention_mask=torch.arange(width) < lengths[:, None],
        labels=torch.tensor(labels),
        image_index=torch.tensor(owners),
        images=_join([example.image for example in examples]),
        gt_masks=tuple(mask for example in examples for mask in example.masks),
        shortened=sum(example.shortened for example in examples),
    )


def _join(images: Sequence[ImageInputs]) -> ImageInputs:
    return ImageInputs(
        torch.cat([one.pixel_values for one in images]),
        torch.cat([one.sam_pixel_values for one in images]),
        tuple(size for one in images for size in one.original_sizes),
        tuple(size for one in images for size in one.resized_sizes),
        {
            name: torch.cat([one.backbone_inputs[name] for one in images])
            for name in images[0].backbone_inputs
        },
    )
