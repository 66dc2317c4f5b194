"""Stage 2: the projector learns to say each cell's object in the language model's own words.

The target of a cell is the mean embedding of the name of the object that covers most of it. This
costs no pass through the language model, and leaves to the next stage a picture that already reads
like words.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from lisa.data.knowledge import Knowledge
from lisa.models import LisaModel
from lisa.models.backbone import image_tokens_from_states
from lisa.processor import LisaProcessor
from training.nano.corpus import Corpus, CorpusScene

_EPOCHS = 8
_BATCH = 2048
_LEARNING_RATE = 2e-3
_COVERED = 0.25


def train_projector(
    model: LisaModel, processor: LisaProcessor, corpus: Corpus, knowledge: Knowledge, seed: int
) -> dict[str, float]:
    """Fit the projector of `model` in place.

    Returns:
        Losses of the first and the last epoch, relative to the targets' variance.
    """
    words = _word_targets(model, processor, knowledge)
    inputs, targets = _cells(corpus, words)
    variance = targets.var(dim=0).sum()
    model.requires_grad_(False)
    projector = model.backbone.model.multi_modal_projector
    projector.requires_grad_(True)
    optimizer = torch.optim.AdamW(projector.parameters(), lr=_LEARNING_RATE, weight_decay=0.01)
    generator = torch.Generator().manual_seed(seed)
    size = min(_BATCH, len(inputs))
    batches = len(inputs) // size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _EPOCHS * batches)
    losses = []
    for _ in tqdm(range(_EPOCHS), desc="projector", unit="epoch"):
        total = 0.0
        order = torch.randperm(len(inputs), generator=generator)
        for part in order[: batches * size].split(size):
            predicted = image_tokens_from_states(model.backbone, [inputs[part][None]])[0]
            loss = (
                F.mse_loss(predicted, targets[part], reduction="none").sum(dim=1).mean() / variance
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() / batches
        losses.append(total)
    projector.requires_grad_(False)
    return {"first": losses[0], "last": losses[-1]}


def _word_targets(
    model: LisaModel, processor: LisaProcessor, knowledge: Knowledge
) -> dict[str, Tensor]:
    """Mean embedding of each name's tokens, as it stands inside a sentence."""
    table = cast(Tensor, model.backbone.get_input_embeddings().weight).detach()
    return {
        name: table[processor.tokenizer.encode(f" {knowledge[name].label}", add_bos=False)].mean(0)
        for name in knowledge.trained_names
    }


def _cells(corpus: Corpus, words: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Collect the coarsest map's cells: inputs (cells, channels), targets (cells, D)."""
    nothing = torch.zeros(next(iter(words.values())).shape)
    inputs, targets = [], []
    for index in tqdm(range(len(corpus)), desc="cells", unit="scene"):
        scene = corpus[index]
        states = scene.image.vision_states
        assert states is not None
        coarse = states[-1][0]
        owner = cell_owners(scene, round(len(coarse) ** 0.5))
        inputs.append(coarse)
        targets.append(
            torch.stack([words[scene.names[o]] if o >= 0 else nothing for o in owner.ravel()])
        )
    return torch.cat(inputs), torch.cat(targets)


def cell_owners(scene: CorpusScene, side: int) -> np.ndarray:
    """Say which object covers most of each cell of a (side, side) grid; -1 where none does."""
    height, width = scene.masks.shape[1:]
    frame = max(height, width)
    padded = np.zeros((len(scene.masks), frame, frame), np.float32)
    padded[:, :height, :width] = scene.masks
    cell = frame // side
    coverage = padded.reshape(len(padded), side, cell, side, cell).mean(axis=(2, 4))
    best = coverage.argmax(axis=0)
    return np.where(coverage.max(axis=0) >= _COVERED, best, -1)
