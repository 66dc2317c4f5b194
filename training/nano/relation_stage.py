"""A stage beside the others: how things relate, learnt on the mask tokens of the trained segmenter.

It changes nothing of `lisa-nano` itself and can be run alone on its finished weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lisa.data.scenes import PREDICATES, CutoutLibrary
from lisa.models import LisaModel
from lisa.processor import LisaProcessor
from lisa.relations import RelationConfig, RelationModel, RelationPredictor, relation_loss
from training.loop import RunSettings, StepReport, run
from training.nano.corpus import Corpus, batches
from training.nano.recipe import NanoRecipe
from training.nano.relation_examples import READINGS, RelationExample, relation_examples

FOLDER = "relations"
"""Under the work folder, and under that of the checkpoint."""


def relation_config(feature_size: int) -> RelationConfig:
    """Return the sizes of nano's relation model: about half a million weights."""
    return RelationConfig(
        predicates=PREDICATES,
        feature_size=feature_size,
        hidden_size=128,
        num_heads=4,
        intermediate_size=256,
        num_layers=2,
        class_size=32,
        vocabulary_size=1,
        num_positions=2,
        num_types=1,
        geometry_size=64,
    )


def train_relations(
    model: LisaModel,
    processor: LisaProcessor,
    corpus: Corpus,
    library: CutoutLibrary,
    recipe: NanoRecipe,
    work: Path,
    out: Path,
) -> None:
    """Run the stage and write the weights, in half precision, into a folder of the checkpoint.

    Args:
        model: Trained; it stays as it is.
        processor: Of the model.
        corpus: The training scenes.
        library: Of the cut-outs for further scenes.
        recipe: Numbers of the stage.
        work: Working folder of the recipe.
        out: Folder of the checkpoint.

    Raises:
        DataError: If the work folder holds the stage of another model.
    """
    stage = recipe.relations
    model.requires_grad_(False)
    first = recipe.scene_seed + recipe.scenes
    examples = relation_examples(
        work / FOLDER / "examples.safetensors",
        model,
        processor,
        corpus,
        recipe.relation_scenes,
        library,
        range(first, first + recipe.nested_scenes),
    )
    torch.manual_seed(recipe.seed)
    relations = RelationModel(relation_config(model.segmenter.prompt_dim))
    relations.train(True)

    def loss_of(indices: Sequence[int], step: int) -> StepReport:
        # Dropout of a step must not depend on whether the run was interrupted before it.
        torch.manual_seed(recipe.seed + step)
        rng = np.random.default_rng((recipe.seed, step))
        readings = rng.integers(READINGS, size=len(indices)).tolist()
        chosen = [examples[i] for i in indices]
        return _loss(relations, chosen, readings)

    settings = RunSettings(
        FOLDER,
        work / FOLDER,
        stage.steps,
        stage.learning_rate,
        stage.warmup,
        save_every=500,
    )
    order = batches(len(examples), stage.scenes, stage.steps, recipe.seed)
    run(settings, dict(relations.named_parameters()), order, loss_of)
    RelationPredictor(relations.half()).save_pretrained(out / FOLDER)


def _loss(
    relations: RelationModel, examples: Sequence[RelationExample], readings: Sequence[int]
) -> StepReport:
    """Loss of one reading of each example."""
    counts = [one.target.shape[-1] for one in examples]
    most = max(counts)
    features = torch.stack([_padded(o.features[r], most, 1) for o, r in _both(examples, readings)])
    geometry = torch.stack([_padded(o.geometry[r], most, 2) for o, r in _both(examples, readings)])
    target = torch.stack(
        [torch.nn.functional.pad(o.target, (0, most - n) * 2) for o, n in _both(examples, counts)]
    )
    is_mask = torch.arange(most) < torch.tensor(counts)[:, None]
    scores = relations(features, is_mask, geometry)
    loss = relation_loss(scores, target, is_mask)
    with torch.no_grad():
        right = (scores > 0) & (target > 0.5)
        recall = right.sum() / target.sum().clamp(min=1)
        precision = right.sum() / (scores > 0).sum().clamp(min=1)
    return StepReport(loss, {"recall": float(recall), "precision": float(precision)})


def _both(
    examples: Sequence[RelationExample], numbers: Sequence[int]
) -> Iterator[tuple[RelationExample, int]]:
    return zip(examples, numbers, strict=True)


def _padded(values: Tensor, most: int, sides: int) -> Tensor:
    """Pad the first `sides` dimensions of values (N, ..., width) to `most`."""
    missing = most - len(values)
    return torch.nn.functional.pad(values, (0, 0) + (0, missing) * sides)
