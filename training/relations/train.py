"""A run from its recipe to a model that `SceneGraphPredictor` loads."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml
from torch import Tensor

from lisa.data.readers.psg import Psg
from lisa.errors import ConfigError
from lisa.relations.checkpoint import save_classed_model
from lisa.relations.classed_model import ClassedRelationConfig, ClassedRelationModel
from lisa.relations.config import RelationConfig
from lisa.relations.losses import relation_loss
from lisa.relations.panoptic import PanopticSegmenter
from lisa.settings import plain, read_yaml
from training.checkpoints import latest_checkpoint
from training.loop import RunSettings, StepReport, run
from training.relations.examples import RelationExamples
from training.relations.features import prepare_features
from training.relations.recipe import SEED_STRIDE, RelationRecipe
from training.relations.start import start_from_bert
from training.relations.teacher import Teacher
from training.resume import CHECKPOINTS, changed_settings

CONFIG_FILE = "config.yaml"
MODEL = "model"
# What may change between two parts of a run, because it changes nothing that is learnt.
_FREE = ("output", "device")


def train(recipe: RelationRecipe) -> Path:
    """Run to the last step; what was interrupted goes on.

    Returns:
        The folder of the trained model: the average of its weights over the steps.

    Raises:
        LisaError: If anything that the recipe names is missing or does not fit.
    """
    psg = Psg(recipe.psg.annotations, recipe.psg.coco, recipe.psg.split)
    _check_same_run(recipe)
    segmenter = PanopticSegmenter.from_pretrained(recipe.panoptic, recipe.device)
    features = prepare_features(recipe, psg, segmenter)
    torch.manual_seed(recipe.seed)
    model = ClassedRelationModel(_config(recipe, psg, segmenter.feature_size))
    if recipe.sizes.start is not None:
        start_from_bert(model.relations, recipe.sizes.start)
    device = next(segmenter.model.parameters()).device
    del segmenter
    model = model.to(device).train()
    teacher = Teacher(model, recipe.teacher)
    examples = RelationExamples(recipe, psg, features)

    def loss_of(_: int, step: int) -> StepReport:
        # Dropout is a function of the step, so that a run that was killed goes on bit for bit.
        torch.manual_seed(recipe.seed * SEED_STRIDE + step)
        teacher.follow(model, step)
        batch = examples.batch(step).to(device)
        target = teacher.labels(batch, step)
        scores = model(batch.features, batch.classes, batch.whole, batch.is_segment)
        loss = relation_loss(scores, target, batch.is_segment)
        taught = float((target - batch.target).sum() / len(target))
        return StepReport(loss, {"taught": taught})

    settings = recipe.optimizer
    parameters: dict[str, Tensor] = {**dict(model.named_parameters()), **teacher.parameters()}
    run(
        RunSettings(
            "relations",
            recipe.output,
            settings.steps,
            settings.learning_rate,
            settings.warmup,
            settings.clip,
            settings.save_every,
        ),
        parameters,
        range(settings.steps),  # Batches are read when their turn comes.
        loss_of,
    )
    teacher.follow(model, settings.steps)
    folder = recipe.output / MODEL
    save_classed_model(teacher.model, folder)
    return folder


def _config(recipe: RelationRecipe, psg: Psg, feature_size: int) -> ClassedRelationConfig:
    sizes = recipe.sizes
    relations = RelationConfig(
        predicates=psg.predicates,
        feature_size=feature_size,
        hidden_size=sizes.hidden_size,
        num_heads=sizes.num_heads,
        intermediate_size=sizes.intermediate_size,
        num_layers=sizes.num_layers,
        class_size=sizes.class_size,
        vocabulary_size=1,
        num_positions=2,
        num_types=1,
    )
    return ClassedRelationConfig(psg.classes, relations, recipe.panoptic)


def _check_same_run(recipe: RelationRecipe) -> None:
    """Write the recipe beside the run; a run that has steps already must be of the same."""
    path = recipe.output / CONFIG_FILE
    now = plain(recipe)
    if path.is_file() and latest_checkpoint(recipe.output / CHECKPOINTS) is not None:
        before = read_yaml(path)
        changed = changed_settings(before, now, _FREE)
        if changed:
            raise ConfigError(
                f"{str(recipe.output)!r} holds a run of other settings ({', '.join(changed)} "
                "changed): set them back, or choose another output."
            )
    recipe.output.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(now, sort_keys=False), encoding="utf-8")
