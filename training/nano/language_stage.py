"""Stages 3 and 4: answers, first alone, then together with the masks that they point at."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lisa.data.captions import caption_question
from lisa.data.dialogues import SceneFacts, make_dialogue
from lisa.data.questions import QuestionKind, make_questions
from lisa.data.scenes import scene_relations
from lisa.models import LisaModel
from lisa.models.losses import LossSums, lisa_loss
from lisa.processor import LisaProcessor
from lisa.types import Conversation
from training.collate import pack
from training.loop import RunSettings, StepReport, run
from training.lora import LanguageAdapter
from training.nano.corpus import Corpus, CorpusScene, batches
from training.nano.decoder_stage import WEIGHTS, decoder_parameters, mean_iou, pointing_loss
from training.nano.recipe import NanoRecipe, Stage

KINDS: dict[QuestionKind, float] = {
    "naming": 4,
    "reasoning": 6,
    "category": 0.7,
    "absent": 0.9,
    "list": 0.8,
    "vqa": 0.3,
}
"""Reasoning most of all: each of a thousand facts must come up several times. Absent things little:
a refusal begins with one word and an answer with any of several, so the likeliest single word says
no well before no is likelier, and twice as many questions made the model refuse what it saw."""


TURNS = (2, 4)
"""Fewest and most questions of a dialogue with tools."""


def train_language(
    model: LisaModel,
    processor: LisaProcessor,
    adapter: LanguageAdapter,
    corpus: Corpus,
    recipe: NanoRecipe,
    folder: Path,
) -> None:
    """Teach the language model to answer; projector and LoRA layers learn."""
    model.requires_grad_(False)
    parameters = {**adapter.parameters(), **_projector(model)}
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    _train(model, processor, corpus, recipe, recipe.language, parameters, folder, masks=False)


def train_jointly(
    model: LisaModel,
    processor: LisaProcessor,
    adapter: LanguageAdapter,
    corpus: Corpus,
    recipe: NanoRecipe,
    folder: Path,
) -> None:
    """Train all that learns on answers and their masks."""
    model.requires_grad_(False)
    parameters = {**adapter.parameters(), **_projector(model), **decoder_parameters(model)}
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    _train(model, processor, corpus, recipe, recipe.joint, parameters, folder, masks=True)


def _projector(model: LisaModel) -> dict[str, Tensor]:
    named = model.backbone.model.multi_modal_projector.named_parameters()
    return {f"projector.{name}": parameter for name, parameter in named}


def _train(
    model: LisaModel,
    processor: LisaProcessor,
    corpus: Corpus,
    recipe: NanoRecipe,
    stage: Stage,
    parameters: dict[str, Tensor],
    folder: Path,
    *,
    masks: bool,
) -> None:
    def loss_of(indices: Sequence[int], step: int) -> StepReport:
        scenes = [corpus[i] for i in indices]
        rng = random.Random(f"{recipe.seed} {folder.name} {step}")
        return _loss(model, processor, scenes, recipe, rng, masks)

    settings = RunSettings(folder.name, folder, stage.steps, stage.learning_rate, stage.warmup)
    order = batches(len(corpus), stage.scenes, stage.steps, recipe.seed + len(folder.name))
    run(settings, parameters, order, loss_of)


def _loss(
    model: LisaModel,
    processor: LisaProcessor,
    scenes: Sequence[CorpusScene],
    recipe: NanoRecipe,
    rng: random.Random,
    masks: bool,
) -> StepReport:
    """Loss of what is said about each scene: a packed row of questions, and one of dialogues."""
    sums: LossSums | None = None
    ious, ready = [], []
    for scene in scenes:
        image = scene.image
        for talks in (_ask(scene, recipe, rng), _talk(scene, recipe, rng)):
            if not talks:
                continue
            row = pack([processor.encode_example(talk.conversation) for talk in talks])
            order = [target for talk in talks for target in talk.targets]
            targets = torch.from_numpy(scene.masks[order]) if order else None
            output = model(
                row.input_ids,
                row.attention_mask,
                row.labels,
                images=[image],
                gt_masks=[targets] if masks and targets is not None else None,
                position_ids=row.position_ids,
                supervised_logits_only=True,
            )
            assert output.losses is not None
            sums = output.losses if sums is None else sums + output.losses
            if masks and targets is not None:
                ious.append(mean_iou(list(zip(output.mask_logits[0], targets, strict=True))))
            image = output.images[0]
        ready.append(image)
    assert sums is not None
    loss = lisa_loss(sums, WEIGHTS)
    total = loss.total
    values = {"text": loss.text.item()}
    if masks:
        pointed, pointed_iou = pointing_loss(
            model, ready, scenes, np.random.default_rng(rng.getrandbits(32))
        )
        total = total + pointed
        values |= {"iou": float(np.mean(ious)), "pointed_iou": pointed_iou}
    return StepReport(total, {"loss": total.item(), **values})


@dataclass(frozen=True)
class _Talk:
    """A conversation to learn, and the object that each `[SEG]` of it shows."""

    conversation: Conversation
    targets: tuple[int, ...]


def _ask(scene: CorpusScene, recipe: NanoRecipe, rng: random.Random) -> list[_Talk]:
    """Ask about a scene, and for sentences about it."""
    asked = make_questions(scene.names, rng, split="train", count=recipe.questions, kinds=KINDS)
    if recipe.captions:
        relations = scene_relations(list(scene.masks))
        asked += [
            caption_question(scene.names, relations, rng, "train") for _ in range(recipe.captions)
        ]
    return [_Talk(Conversation().ask(q.text, 0).answer(q.answer), q.targets) for q in asked]


def _talk(scene: CorpusScene, recipe: NanoRecipe, rng: random.Random) -> list[_Talk]:
    """Write dialogues about a scene, with tools."""
    if not recipe.dialogues:
        return []
    facts = SceneFacts(scene.names, scene.masks, scene_relations(list(scene.masks)))
    written = [
        make_dialogue(facts, rng, "train", rng.randint(*TURNS)) for _ in range(recipe.dialogues)
    ]
    return [_Talk(one.conversation, one.targets) for one in written]
