"""Scene graphs with names, both stages end to end with tiny random models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lisa.cli import main
from lisa.errors import ConfigError, DataError, PromptError
from lisa.relations import PREDICATES as ALL_PREDICATES
from lisa.relations.checkpoint import save_classed_model
from lisa.relations.panoptic import PanopticSegmenter
from lisa.relations.scene_graphs import SceneGraphPredictor, find_named
from tests.tiny import picture, tiny_model
from tests.tiny_panoptic import WIDTH, write_mask2former
from tests.unit.relations.tiny_relations import (
    CLASSES,
    CONFIG,
    PREDICATES,
    tiny_classed_model,
    tiny_predictor,
)

WIDE = replace(CONFIG, feature_size=WIDTH)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The panoptic model, the relation model that was trained with it, and a picture."""
    folder = tmp_path_factory.mktemp("models")
    panoptic = write_mask2former(folder / "panoptic", CLASSES)
    save_classed_model(tiny_classed_model(WIDE, str(panoptic)), folder / "named")
    picture(50, 70).save(folder / "photo.png")
    return folder


@pytest.fixture(scope="module")
def predictor(folder: Path) -> SceneGraphPredictor:
    return SceneGraphPredictor.from_pretrained(folder / "named", device="cpu")


def test_a_picture_becomes_a_graph_with_names(predictor: SceneGraphPredictor):
    graph = predictor(picture(50, 70), top=10_000)
    count = len(graph.segments)
    assert count == 3
    assert graph.names is not None
    assert set(graph.names) <= set(CLASSES)
    assert len(graph.relations) == count * (count - 1)
    assert {one.predicate for one in graph.relations} <= set(PREDICATES)
    again = predictor(picture(50, 70), top=10_000)
    assert again.relations == graph.relations
    every = predictor(picture(50, 70), top=10_000, one_per_pair=False)
    assert len(every.relations) == len(PREDICATES) * count * (count - 1)


def test_the_second_stage_alone_says_the_same(predictor: SceneGraphPredictor):
    image = picture(50, 70)
    graph = predictor(image)
    names = [str(one) for one in graph.names or ()]
    again = predictor.relate(image, [one.mask for one in graph.segments], names)
    assert again.relations == graph.relations
    assert again.names == graph.names


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_things(predictor: SceneGraphPredictor, count: int):
    masks = [np.ones((50, 70), bool)] * count
    graph = predictor.relate(picture(50, 70), masks, ["dog"] * count)
    assert graph.relations == ()
    assert len(graph.segments) == count


def test_nothing_is_found(predictor: SceneGraphPredictor):
    graph = predictor(picture(50, 70), threshold=1.0)
    assert graph.segments == ()
    assert graph.relations == ()


def test_one_subject(predictor: SceneGraphPredictor):
    graph = predictor(picture(50, 70))
    names = graph.names or ()
    chosen = predictor(picture(50, 70), subject=f"The {names[-1]}")
    place = names.index(names[-1])
    assert {one.subject for one in chosen.relations} == {place}
    assert len(chosen.relations) == len(names) - 1


@pytest.mark.parametrize("words", ["dog", "the Dog", " a dog. "])
def test_names_in_words(words: str):
    assert find_named(["grass", "dog", "dog"], words) == 1


def test_a_name_that_is_not_there():
    with pytest.raises(PromptError, match=r"'the cat' was not found: there is dog, grass\."):
        find_named(["grass", "dog", None], "the cat")


def test_the_stages_must_fit(folder: Path, tmp_path: Path):
    panoptic = PanopticSegmenter.from_pretrained(folder / "panoptic", device="cpu")
    with pytest.raises(ConfigError, match=f"gives features of {WIDTH} numbers.* reads 16"):
        SceneGraphPredictor(panoptic, tiny_classed_model())
    other = write_mask2former(tmp_path / "other", ("tent", "rug", "dog"))
    with pytest.raises(ConfigError, match="finds 'tent' and 1 more, which"):
        SceneGraphPredictor.from_pretrained(folder / "named", other, device="cpu")
    save_classed_model(tiny_classed_model(WIDE), tmp_path / "silent")
    with pytest.raises(ConfigError, match="does not say which panoptic model"):
        SceneGraphPredictor.from_pretrained(tmp_path / "silent", device="cpu")


def test_masks_that_cannot_be_related(predictor: SceneGraphPredictor):
    image, mask = picture(50, 70), np.ones((50, 70), bool)
    with pytest.raises(DataError, match="1 masks and 0 names: give one of each"):
        predictor.relate(image, [mask], [])
    with pytest.raises(DataError, match="'zebra' is no class"):
        predictor.relate(image, [mask], ["zebra"])
    with pytest.raises(DataError, match="not of the picture's size, 50 x 70"):
        predictor.relate(image, [mask.T], ["dog"])


def command(folder: Path, model: str, *more: str) -> list[str]:
    arguments = ["relate", str(folder / "photo.png"), "--model", str(folder / model)]
    return [*arguments, "--device", "cpu", "--dtype", "float32", "--offline", *more]


def test_the_command_with_two_stages(folder: Path, capsys):
    assert main(command(folder, "named", "--json", "--top", "4")) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["complete"] is True
    names = [one["name"] for one in record["segments"]]
    assert set(names) <= set(CLASSES)
    assert len(record["relations"]) == 4
    assert main(command(folder, "named", "--subject", names[1])) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines
    assert all(line.split()[1] == names[1] for line in lines)


def test_the_command_gives_names_to_relate_anything(folder: Path, capsys):
    torch.save(tiny_model().segmenter.state_dict(), folder / "sam.pth")
    config = replace(CONFIG, predicates=ALL_PREDICATES)
    tiny_predictor(config).save_pretrained(folder / "relations")
    more = ["--segmenter", str(folder / "sam.pth"), "--panoptic", str(folder / "panoptic")]
    assert main(command(folder, "relations", "--json", "--top", "4", *more)) == 0
    record = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in record["segments"]} <= set(CLASSES)
    assert len(record["relations"]) == 4
    assert main(command(folder, "relations", "--subject", "a unicorn", *more)) == 2
    assert "'a unicorn' was not found: there is" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--seconds", "--segmenter", "--revision"])
def test_options_that_have_no_use_here(folder: Path, option: str, capsys):
    assert main(command(folder, "named", option, "3")) == 2
    assert f"{option} is about automatic masks" in capsys.readouterr().err
