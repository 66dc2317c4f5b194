"""What a tagger learns in a step: tags, and if asked for captions and CLIP's picture embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from lisa.tagging import TextEncoder, asymmetric_loss
from lisa.tagging.caption_words import CaptionWords
from lisa.tagging.losses import alignment_loss, balanced_sum, caption_loss, distillation_loss
from lisa.tagging.models import TaggingModel
from training.loop import StepReport
from training.tagging.clip_pictures import PictureEmbedder


@dataclass(frozen=True, eq=False)
class PictureBatch:
    """Pictures of a step.

    Attributes:
        images: B opened pictures.
        shown: bool (B, C), which tags each has.
        tags: Their names.
        captions: A sentence about each; empty where captions are not learned.
    """

    images: Sequence[Image.Image]
    shown: Tensor
    tags: Sequence[Sequence[str]]
    captions: Sequence[str]


@dataclass(frozen=True, eq=False)
class Objectives:
    """Which losses count; they are added up as the papers do (`lisa.tagging.losses`).

    Attributes:
        gamma_negative: Of the asymmetric loss of tags.
        words: Vocabulary of the captions, if they are learned.
        pictures: CLIP's picture half, if the mean token learns to be what it returns.
        texts: CLIP's text half, if whole captions are asked for like tags.
    """

    gamma_negative: float
    words: CaptionWords | None = None
    pictures: PictureEmbedder | None = None
    texts: TextEncoder | None = None

    def __call__(self, model: TaggingModel, batch: PictureBatch) -> StepReport:
        """Return the sum and each part of it."""
        pixels = torch.stack([model.visual_encoder.transform(one) for one in batch.images])
        tokens = model.encode(pixels.to(device=model.device, dtype=model.dtype))
        logits = model.tag_logits(tokens, model.own_labels())
        shown = batch.shown.to(logits.device)
        parts = {"tags": asymmetric_loss(logits, shown, gamma_negative=self.gamma_negative)}
        total = parts["tags"]
        if self.words is not None:
            tag_ids, tag_mask = self.words.encode_tags(batch.tags)
            captions = self.words.encode_captions(batch.captions)
            parts["captions"] = caption_loss(model, tokens, tag_ids, tag_mask, captions)
            total = balanced_sum(parts["captions"], parts["tags"])
        if self.pictures is not None:
            seen = self.pictures(batch.images).to(tokens)
            parts["distillation"] = distillation_loss(tokens, seen)
            total = total + parts["distillation"]
        if self.texts is not None:
            said = self.texts.encode(batch.captions).clone().to(tokens)
            parts["alignment"] = alignment_loss(model, tokens, said)
            total = total + parts["alignment"]
        return StepReport(total, {name: part.item() for name, part in parts.items()})
