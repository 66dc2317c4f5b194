"""The tagger of `lisa-nano`: what is in a scene, of what kind and colour, on the frozen trunk.

The trunk's maps of the scenes are there already, so that a head learns in minutes. One scene in ten
is kept from learning: the thresholds are chosen on these.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lisa.data.knowledge import Knowledge, load_knowledge
from lisa.data.scene_tags import scene_vocabulary, tags_of_things
from lisa.data.scenes import WIDE, CutoutLibrary, compose_scene
from lisa.errors import DataError
from lisa.hub import NANO
from lisa.models import LisaModel, TrunkConfig
from lisa.tagging import Tagger, TaggingConfig, TagInfo, TrunkSizes, asymmetric_loss, build_model
from lisa.tagging.checkpoint import IN_LISA
from lisa.tagging.models import TaggingModel
from lisa.tagging.trunk_encoder import TrunkEncoder, join_maps
from training.log import LOG
from training.loop import RunSettings, StepReport, run
from training.nano.corpus import Corpus, CorpusScene, batches
from training.nano.projector_stage import cell_owners
from training.nano.recipe import Stage
from training.nano.tagger_start import TaggedScenes, begin
from training.tagging.save import write_over
from training.tagging.thresholds import choose_thresholds

STAGES = (1, 2, 3, 4)
"""Maps of the trunk that are read: colours stand in the fine ones, things in the coarse ones."""

GRID = 8
_WIDTH = 192
_KEPT_FROM_LEARNING = 10
_GAMMA = 2.0


def tagger_config(
    knowledge: Knowledge, trunk: TrunkConfig, channels: tuple[int, ...]
) -> TaggingConfig:
    """Describes the tagger of `lisa-nano`, for maps of some channels."""
    return TaggingConfig(
        kind="fixed-list",
        encoder=TrunkSizes(
            weights_of=NANO,
            architecture=trunk.architecture,
            image_size=trunk.image_size,
            stages=STAGES,
            channels=channels,
            grid_side=GRID,
            output_width=_WIDTH,
        ),
        num_tags=len(scene_vocabulary(knowledge)),
        texts_per_tag=1,
        label_width=_WIDTH,
        token_width=_WIDTH,
        hidden=_WIDTH,
        intermediate=2 * _WIDTH,
        layers=1,
        heads=1,
    )


def collect_scenes(corpus: Corpus, library: CutoutLibrary, knowledge: Knowledge) -> TaggedScenes:
    """Reads all scenes, and composes each again to see its colours.

    Raises:
        DataError: If the corpus was made of other cut-outs.
    """
    channels = tuple(one.shape[-1] for one in _chosen_maps(corpus[0]))
    maps = torch.empty(len(corpus), sum(channels), GRID, GRID, dtype=torch.float16)
    things: list[frozenset[str]] = []
    places, shown = [], []
    for index in tqdm(range(len(corpus)), desc="tags", unit="scene"):
        scene = corpus[index]
        again = compose_scene(library, scene.seed, variation=WIDE)
        if again.names != scene.names:
            raise DataError(
                f"The corpus shows {', '.join(scene.names)} in scene {scene.seed} and the cut-outs "
                f"give {', '.join(again.names)}: build the corpus anew in another folder."
            )
        maps[index] = join_maps(_chosen_maps(scene), GRID)[0].half()
        own = tags_of_things(knowledge, scene.names, np.asarray(again.image), scene.masks)
        owner = torch.from_numpy(cell_owners(scene, GRID)).flatten()
        places.append(torch.where(owner < 0, -1, owner + len(things)))
        things += own
        shown.append(frozenset().union(*own))
    vocabulary = [tag.name for tag in scene_vocabulary(knowledge)]
    covered = torch.stack(places)
    return TaggedScenes(
        maps=maps,
        channels=channels,
        things=_as_rows([*things, frozenset()], vocabulary),
        places=torch.where(covered < 0, len(things), covered),
        shown=_as_rows(shown, vocabulary),
    )


def _as_rows(found: Sequence[frozenset[str]], vocabulary: Sequence[str]) -> Tensor:
    return torch.tensor([[name in tags for name in vocabulary] for tags in found])


def _chosen_maps(scene: CorpusScene) -> list[Tensor]:
    states = scene.image.vision_states
    assert states is not None
    return [states[stage] for stage in STAGES]


def train_tagger(
    model: LisaModel,
    corpus: Corpus,
    library: CutoutLibrary,
    stage: Stage,
    seed: int,
    work: Path,
    out: Path,
) -> None:
    """Runs the stage, and writes the tagger into the folder `tagging` of a checkpoint.

    Args:
        model: Whose trunk the maps of the corpus come from.
        corpus: The scenes.
        library: The cut-outs that they were composed of.
        stage: Of the recipe.
        seed: Of the recipe.
        work: Where log and state are kept.
        out: Folder of the checkpoint.
    """
    knowledge = load_knowledge()
    trunk = model.backbone.model.vision_tower.config
    scenes = collect_scenes(corpus, library, knowledge)
    config = tagger_config(knowledge, trunk, scenes.channels)
    tagging = learn_tags(scenes, config, stage, seed, work)
    pack_tagger(finished_tagger(tagging, scenes, knowledge), out / IN_LISA, work / LOG)


def learn_tags(
    scenes: TaggedScenes, config: TaggingConfig, stage: Stage, seed: int, folder: Path
) -> TaggingModel:
    """Trains the head on the maps.

    Args:
        scenes: As `collect_scenes` returns them.
        config: As `tagger_config` returns it.
        stage: Of the recipe.
        seed: Of fresh weights, and of the order of the scenes.
        folder: Where log and state are kept.

    Returns:
        The trained model; the weights of its tower have no meaning.
    """
    torch.manual_seed(seed)
    model = build_model(config)
    learned = _learned(len(scenes.maps))
    begin(model, scenes, learned)
    encoder = model.visual_encoder
    assert isinstance(encoder, TrunkEncoder)
    shared = model.shared_names()
    parameters = {name: one for name, one in model.named_parameters() if name not in shared}

    def loss_of(indices: Sequence[int], step: int) -> StepReport:
        chosen = learned[indices]
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        mirrored = torch.rand(len(indices), generator=generator) < 0.5
        maps = torch.where(
            mirrored.view(-1, 1, 1, 1), scenes.maps[chosen].flip(3), scenes.maps[chosen]
        )
        logits = model.tag_logits(encoder.mix(maps.float()), model.own_labels())
        shown = scenes.shown[chosen]
        loss = asymmetric_loss(logits, shown, gamma_negative=_GAMMA) / len(indices)
        sure = logits.detach() > 0
        right = (sure & shown).sum().item()
        values = {
            "precision": right / max(1, int(sure.sum())),
            "recall": right / max(1, int(shown.sum())),
        }
        return StepReport(loss, values)

    model.train(True)
    settings = RunSettings(
        "tagger", folder, stage.steps, stage.learning_rate, stage.warmup, save_every=100
    )
    run(settings, parameters, batches(len(learned), stage.scenes, stage.steps, seed), loss_of)
    model.train(False)
    return model


def _learned(count: int) -> Tensor:
    return torch.tensor([i for i in range(count) if i % _KEPT_FROM_LEARNING])


def finished_tagger(
    model: TaggingModel, scenes: TaggedScenes, knowledge: Knowledge, batch: int = 100
) -> Tagger:
    """Chooses the thresholds on the scenes that were kept from learning."""
    encoder = model.visual_encoder
    assert isinstance(encoder, TrunkEncoder)
    maps = scenes.maps[::_KEPT_FROM_LEARNING]
    with torch.inference_mode():
        rows = [
            model.tag_logits(encoder.mix(part.float()), model.own_labels()).sigmoid()
            for part in maps.split(batch)
        ]
    shown = scenes.shown[::_KEPT_FROM_LEARNING]
    limits = choose_thresholds(torch.cat(rows).numpy(), shown.numpy())
    vocabulary = scene_vocabulary(knowledge)
    return Tagger(
        model,
        [
            TagInfo(tag.name, limit, tag.category)
            for tag, limit in zip(vocabulary, limits, strict=True)
        ],
    )


def pack_tagger(tagger: Tagger, folder: Path, log: Path) -> None:
    """Writes a tagger in half precision, and the log of its training; other files stay."""
    tagger.model.half()

    def save(into: Path) -> None:
        Tagger(tagger.model, tagger.tags).save_pretrained(into)
        (into / log.name).write_bytes(log.read_bytes())

    write_over(save, folder)
