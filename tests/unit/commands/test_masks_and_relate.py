"""`lisa masks` and `lisa relate` with tiny random models: nothing but numbers is made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lisa.cli import main
from lisa.masks import decode_rle
from lisa.pipeline import LisaPipeline
from lisa.relations import PREDICATES, SceneGraph
from lisa.relations.automatic_masks import AutomaticMaskSettings
from tests.tiny import SEG_ID, emit, picture, tiny_model, tiny_processor
from tests.unit.relations.tiny_relations import CONFIG, tiny_predictor

LENIENT = AutomaticMaskSettings(
    points_per_side=3,
    points_per_batch=4,
    least_iou=-99.0,
    least_stability=0.3,
    stability_offset=0.01,
    most_box_iou=1.0,
)
"""Random masks are poor; a few of them pass."""

SIZE = (70, 90)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, and two pictures and a damaged one."""
    folder = tmp_path_factory.mktemp("models")
    tiny_model().save_pretrained(folder / "lisa")
    tiny_processor().save_pretrained(folder / "lisa")
    torch.save(tiny_model().segmenter.state_dict(), folder / "sam.pth")
    config = replace(CONFIG, predicates=PREDICATES)
    tiny_predictor(config).save_pretrained(folder / "relations")
    tiny_predictor(replace(config, feature_size=8)).save_pretrained(folder / "others")
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(2):
        picture(*SIZE, seed=number).save(pictures / f"{number}.png")
    (pictures / "damaged.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(autouse=True)
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lisa.relations.automatic_masks.settings_for", lambda segmenter: LENIENT)


def command(folder: Path, name: str, *more: str) -> list[str]:
    option = "--model" if name == "masks" else "--segmenter"
    places = [] if name == "masks" else ["--model", str(folder / "relations")]
    chosen = [] if option in more else [option, str(folder / "sam.pth")]
    return [name, *more, *chosen, *places, "--device", "cpu", "--offline"]


@pytest.mark.parametrize("segmenter", ["sam.pth", "lisa"])
def test_masks_as_json(folder: Path, segmenter: str, capsys):
    path = str(folder / "pictures" / "0.png")
    arguments = command(folder, "masks", path, "--json", "--model", str(folder / segmenter))
    assert main(arguments) == 0
    (line,) = capsys.readouterr().out.splitlines()
    record = json.loads(line)
    assert record["image"] == path
    assert record["image_size"] == list(SIZE)
    assert record["complete"] is True
    assert record["segments"]
    for segment in record["segments"]:
        mask = decode_rle(segment["mask"])
        assert mask.shape == SIZE
        x0, y0, x1, y1 = map(int, segment["box"])
        assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0


def test_masks_of_a_folder_for_a_person(folder: Path, tmp_path: Path, capsys):
    out = tmp_path / "new" / "out"
    assert main(command(folder, "masks", str(folder / "pictures"), "--out", str(out))) == 2
    printed = capsys.readouterr()
    assert "0.png: " in printed.out
    assert "1.png: " in printed.out
    assert "% of the picture" in printed.out
    assert [line for line in printed.err.splitlines() if "damaged.png" in line]
    assert {path.name for path in out.iterdir()} == {"0.png", "0.json", "1.png", "1.json"}
    assert Image.open(out / "0.png").size == SIZE[::-1]
    assert json.loads((out / "0.json").read_text())["segments"]


def test_time_that_runs_out_is_told(folder: Path, capsys):
    path = str(folder / "pictures" / "0.png")
    assert main(command(folder, "masks", path, "--seconds", "1e-9")) == 0
    assert "time ran out after 4 of 9 points" in capsys.readouterr().out
    assert main(command(folder, "masks", path, "--seconds", "1e-9", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["complete"] is False


def test_relations_as_json_and_files(folder: Path, tmp_path: Path, capsys):
    path = str(folder / "pictures" / "0.png")
    arguments = command(folder, "relate", path, "--json", "--top", "3", "--out", str(tmp_path))
    assert main(arguments) == 0
    record = json.loads(capsys.readouterr().out)
    graph = SceneGraph.from_dict(record)
    assert len(graph.relations) == min(3, len(graph.segments) * (len(graph.segments) - 1))
    assert graph.relations
    pairs = [(one.subject, one.object) for one in graph.relations]
    assert len(set(pairs)) == len(pairs)
    names = {"0.png", "0_graph.png", "0.dot", "0.json"}
    assert {one.name for one in tmp_path.iterdir()} == names
    assert json.loads((tmp_path / "0.json").read_text()) == record
    assert (tmp_path / "0.dot").read_text().count(" -> ") == len(graph.relations)


def test_relations_for_a_person(folder: Path, capsys):
    assert main(command(folder, "relate", str(folder / "pictures" / "?.png"), "--top", "2")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0][-5:] for line in lines if "things" in line] == ["0.png", "1.png"]
    assert len(lines) == 2 * 3
    assert any(predicate in lines[1] for predicate in PREDICATES)


def test_a_picture_without_things(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    strict = replace(LENIENT, least_iou=99.0)
    monkeypatch.setattr("lisa.relations.automatic_masks.settings_for", lambda segmenter: strict)
    path = str(folder / "pictures" / "0.png")
    assert main(command(folder, "masks", path)) == 0
    assert "no things" in capsys.readouterr().out
    assert main(command(folder, "relate", path)) == 0
    assert "no relations" in capsys.readouterr().out


@pytest.fixture
def talking(monkeypatch: pytest.MonkeyPatch):
    """Make the pipeline that commands load answer with the given ids."""

    def make(ids: list[int]) -> list[str]:
        questions: list[str] = []

        class Talking(LisaPipeline):
            """Says the given ids; all else is the pipeline's."""

            @classmethod
            def from_pretrained(cls, *_, **__):
                model = tiny_model()
                emit(model, [ids])
                return cls(model, tiny_processor())

            def __call__(self, image, question, **options):
                questions.append(question)
                return super().__call__(image, question, **options)

        monkeypatch.setattr("lisa.pipeline.LisaPipeline", Talking)
        return questions

    return make


def test_one_subject_against_the_rest(folder: Path, talking, capsys):
    questions = talking([SEG_ID, 1])
    path = str(folder / "pictures" / "0.png")
    arguments = command(folder, "relate", path, "--subject", " the dog ", "--json")
    arguments[arguments.index(str(folder / "sam.pth"))] = str(folder / "lisa")
    assert main(arguments) == 0
    assert questions == ["Segment the dog."]
    record = json.loads(capsys.readouterr().out)
    assert record["segments"][0]["name"] == "the dog"
    assert {one["subject"] for one in record["relations"]} == {0}
    objects = [one["object"] for one in record["relations"]]
    assert sorted(objects) == list(range(1, len(record["segments"])))
    subject, *others = (decode_rle(one["mask"]) for one in record["segments"])
    for mask in others:
        assert np.logical_and(mask, subject).sum() <= 0.8 * np.logical_or(mask, subject).sum()


def test_a_subject_that_is_not_there(folder: Path, talking, capsys):
    talking([5, 1])
    path = str(folder / "pictures" / "0.png")
    arguments = command(folder, "relate", path, "--subject", "the dog")
    arguments[arguments.index(str(folder / "sam.pth"))] = str(folder / "lisa")
    assert main(arguments) == 2
    assert "'the dog' was not found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("relate", ["--model", "others"], "read mask tokens of 8 numbers"),
        ("relate", ["--subject", " "], "--subject is empty"),
        ("relate", ["--subject", "a dog"], "understands no words"),
        ("masks", ["--model", "nowhere.pth"], "There is no nowhere.pth"),
        ("masks", ["--seconds", "0"], "not a number of seconds above zero"),
        ("relate", ["--top", "0"], "not a whole number above zero"),
    ],
)
def test_mistakes_get_a_sentence(folder: Path, name: str, more: list[str], words: str, capsys):
    path = str(folder / "pictures" / "0.png")
    given = [str(folder / part) if part == "others" else part for part in more]
    arguments = command(folder, name, path) + given
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def test_own_weights_fit_the_own_segmenter_only(folder: Path, capsys):
    """Without --model the weights of lisa-nano are taken, which other segmenters do not fit."""
    path, sam = str(folder / "pictures" / "0.png"), str(folder / "sam.pth")
    assert main(["relate", path, "--segmenter", sam, "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert "lisa-nano read mask tokens of 128 numbers" in error
    assert "ram_epoch12.pth" in error
    assert "other weights in --model" in error
