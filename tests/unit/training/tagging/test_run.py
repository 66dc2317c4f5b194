"""Training of a tagger end to end, on tiny models and a dozen pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lisa.errors import ConfigError, DataError
from lisa.tagging import Captioner, Tagger, TagInfo
from tests.tiny_tagging import (
    VOCABULARY,
    tiny_model,
    trunk_model,
    write_clip,
    write_lisa,
    write_released,
)
from training.tagging import run as module
from training.tagging.config import TaggingSettings, read_settings
from training.tagging.records import write_lines
from training.tagging.run import train

COLOURS = {"red": (220, 20, 20), "apple": (20, 20, 220)}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger that knows "red" and "dog"."""
    folder = tmp_path_factory.mktemp("start")
    lisa = write_lisa(folder / "lisa")
    tags = [TagInfo("red", 0.5, "attribute"), TagInfo("dog", 0.5, "object")]
    Tagger(trunk_model(lisa, 2), tags).save_pretrained(folder / "tagger")
    return folder / "tagger"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of one colour or the other; their tags name it."""
    folder = tmp_path_factory.mktemp("pictures")
    lines = []
    for number in range(12):
        name = list(COLOURS)[number % 2]
        shade = tuple(max(0, one - 5 * number) for one in COLOURS[name])
        Image.new("RGB", (40, 30), shade).save(folder / f"{number}.png")
        lines.append({"image": f"{number}.png", "captions": [f"a {name}"], "tags": [name]})
    write_lines(folder / "pictures.jsonl", lines)
    return folder / "pictures.jsonl"


@pytest.fixture
def settings(start: Path, pictures: Path, tmp_path: Path) -> TaggingSettings:
    return TaggingSettings(
        pictures=pictures,
        output=tmp_path / "run",
        start=str(start),
        encoder=True,
        gamma_negative=4.0,
        steps=30,
        batch=5,
        learning_rate=5e-3,
        warmup=2,
        held_out=4,
        device="cpu",
        offline=True,
    )


def log_of(settings: TaggingSettings) -> list[dict[str, float]]:
    return [json.loads(line) for line in (settings.output / "log.jsonl").read_text().splitlines()]


def test_pictures_of_ones_own_are_learned(settings: TaggingSettings, pictures: Path):
    folder = train(replace(settings, steps=120, learning_rate=1e-2))
    log = log_of(settings)
    assert sum(one["loss"] for one in log[-5:]) < 0.3 * sum(one["loss"] for one in log[:5])
    tagger = Tagger.from_pretrained(folder, device="cpu")
    assert {tag.name for tag in tagger.tags} == set(COLOURS)
    files = [pictures.parent / f"{number}.png" for number in range(12)]
    found = [tuple(tag.name for tag in tags) for tags in tagger(files)]
    assert found == [(list(COLOURS)[number % 2],) for number in range(12)]
    assert not any("tower" in name for name in load_file(folder / "model.safetensors"))


def test_an_interrupted_run_goes_on_to_the_same_weights(
    settings: TaggingSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = load_file(train(settings) / "model.safetensors")
    again = replace(settings, output=tmp_path / "again")
    opened, open_image = 0, module.open_image

    def break_off(source):
        nonlocal opened
        opened += 1
        if opened > 25 * settings.batch:
            raise KeyboardInterrupt
        return open_image(source)

    with monkeypatch.context() as patch:
        patch.setattr(module, "open_image", break_off)
        with pytest.raises(KeyboardInterrupt):
            train(again)
    parts = load_file(train(again) / "model.safetensors")
    assert all(torch.equal(parts[name], value) for name, value in whole.items())
    assert [one["step"] for one in log_of(again)] == list(range(settings.steps))
    # Once more: nothing is left to learn, and the model is written again.
    assert train(again) == again.output / "model"


def test_rows_of_known_tags_are_kept(settings: TaggingSettings, tmp_path: Path):
    (tmp_path / "list.jsonl").write_text(
        '{"name": "cup", "category": "object"}\n{"name": "red", "category": "attribute"}\n'
    )
    frozen = replace(
        settings, vocabulary=tmp_path / "list.jsonl", steps=1, learning_rate=1e-12, encoder=False
    )
    new = Tagger.from_pretrained(train(frozen), device="cpu")
    old = Tagger.from_pretrained(settings.start, device="cpu")
    assert [(tag.name, tag.category) for tag in new.tags] == [
        ("cup", "object"),
        ("red", "attribute"),
    ]
    picture = [settings.pictures.parent / "0.png"]
    torch.testing.assert_close(
        new.probabilities(picture)[:, 1], old.probabilities(picture)[:, 0], atol=1e-5, rtol=1e-5
    )


def test_captions_are_learned_beside_tags(settings: TaggingSettings, tmp_path: Path):
    weights = write_released(tiny_model("tag2text"), tmp_path / "weights.pth")
    folder = train(replace(settings, start=str(weights), captions=True, steps=40))
    log = log_of(replace(settings))
    assert log[-1]["captions"] < 0.7 * log[0]["captions"]
    captioner = Captioner.from_pretrained(folder, device="cpu", offline=True)
    assert captioner.words.vocabulary == VOCABULARY
    picture = settings.pictures.parent / "0.png"
    assert captioner([picture], [["red"]])[0].text


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("recognize-anything", {"tags", "distillation"}),
        ("recognize-anything-plus", {"tags", "distillation", "alignment"}),
    ],
)
def test_clip_is_learned_from(kind, parts: set[str], settings: TaggingSettings, tmp_path: Path):
    weights = write_released(tiny_model(kind), tmp_path / "weights.pth")
    clip = write_clip(tmp_path / "clip")
    asked = replace(settings, start=str(weights), clip=str(clip), steps=25)
    folder = train(asked)
    log = log_of(asked)
    assert set(log[0]) - {"step", "loss", "norm", "seconds"} == parts
    total = sum(log[0][name] for name in parts)
    assert log[0]["loss"] == pytest.approx(total, rel=1e-4)
    assert log[-1]["distillation"] < log[0]["distillation"]
    tagger = Tagger.from_pretrained(folder, device="cpu")
    assert {tag.name for tag in tagger.tags} == set(COLOURS)
    # The embeddings of the tags are CLIP's and do not learn.
    own = tagger.model.own_labels().blocks[0]
    torch.testing.assert_close(own.norm(dim=-1), torch.ones(own.shape[:2]), atol=1e-4, rtol=1e-4)


def test_what_cannot_be_learned(settings: TaggingSettings, tmp_path: Path):
    with pytest.raises(ConfigError, match="does not know its tags by text embeddings"):
        train(replace(settings, clip="anything"))
    weights = write_released(tiny_model("recognize-anything"), tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="name the CLIP that it was trained with"):
        train(replace(settings, start=str(weights)))
    write_lines(tmp_path / "untold.jsonl", [{"image": "a.png", "captions": ["a dog"]}])
    with pytest.raises(DataError, match=r"has a tag: write tags .* training.tagging parse"):
        train(replace(settings, pictures=tmp_path / "untold.jsonl"))
    lines = [{"image": "a.png", "tags": ["dog"]}, {"image": "b.png", "tags": ["dog"]}]
    write_lines(tmp_path / "silent.jsonl", lines)
    with pytest.raises(DataError, match=r"a.png has no caption, and 2 pictures have none"):
        train(replace(settings, pictures=tmp_path / "silent.jsonl", captions=True))


def test_settings(tmp_path: Path):
    path = tmp_path / "run.yaml"
    path.write_text("pictures: a.jsonl\noutput: runs/a\nheld_out: 1\n")
    with pytest.raises(ConfigError, match="held_out 2 or more"):
        read_settings(path)
    assert read_settings(path, ["held_out=5", "steps=3"]).steps == 3
    example = Path(__file__).parents[4] / "training" / "tagging" / "example.yaml"
    assert read_settings(example).start == "lisa-nano"
