"""`python -m training.tagging`: from captions to a tagger, by its command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from lisa.tagging import Tagger, TagInfo
from tests.tiny_tagging import trunk_model, write_lisa
from training.tagging.__main__ import main
from training.tagging.records import read_pictures, write_lines

CAPTIONS = ("a red dog runs", "a dog", "the red dog", "a cat sleeps")


@pytest.fixture
def captioned(tmp_path: Path) -> Path:
    lines = []
    for number, caption in enumerate(CAPTIONS):
        Image.new("RGB", (20, 20), (60 * number, 90, 20)).save(tmp_path / f"{number}.png")
        lines.append({"image": f"{number}.png", "captions": [caption]})
    lines[0]["tags"] = ["puppy"]
    write_lines(tmp_path / "captions.jsonl", lines)
    return tmp_path / "captions.jsonl"


def test_from_captions_to_a_tagger(captioned: Path, tmp_path: Path, capsys):
    tagged = tmp_path / "tagged"
    assert main(["parse", str(captioned), "--out", str(tagged), "--keep", "2"]) == 0
    assert "wrote 4 pictures and 2 tags" in capsys.readouterr().out
    vocabulary = [
        json.loads(line) for line in (tagged / "vocabulary.jsonl").read_text().splitlines()
    ]
    assert vocabulary == [
        {"name": "dog", "category": "object", "captions": 3},
        {"name": "red", "category": "attribute", "captions": 2},
    ]
    pictures = read_pictures(tagged / "pictures.jsonl")
    assert [one.tags for one in pictures] == [
        ("puppy", "red", "dog"),
        ("dog",),
        ("red", "dog"),
        (),
    ]
    assert all(one.image.is_file() for one in pictures)

    lisa = write_lisa(tmp_path / "lisa")
    Tagger(trunk_model(lisa, 1), [TagInfo("dog", 0.5)]).save_pretrained(tmp_path / "start")
    (tmp_path / "run.yaml").write_text(
        f"pictures: {tagged / 'pictures.jsonl'}\nvocabulary: {tagged / 'vocabulary.jsonl'}\n"
        f"output: {tmp_path / 'run'}\nstart: {tmp_path / 'start'}\ndevice: cpu\n"
    )
    assert main(["train", str(tmp_path / "run.yaml"), "steps=3", "batch=2", "warmup=1"]) == 0
    tagger = Tagger.from_pretrained(tmp_path / "run" / "model", device="cpu")
    assert [(tag.name, tag.category) for tag in tagger.tags] == [
        ("dog", "object"),
        ("red", "attribute"),
    ]


def test_the_frequency_cut(captioned: Path, tmp_path: Path):
    arguments = ["parse", str(captioned), "--out", str(tmp_path / "tagged"), "--least", "3"]
    assert main(arguments) == 0
    assert len((tmp_path / "tagged" / "vocabulary.jsonl").read_text().splitlines()) == 1


def test_a_mistake_costs_one_sentence(tmp_path: Path, capsys):
    assert main(["parse", str(tmp_path / "no.jsonl"), "--out", str(tmp_path / "out")]) == 2
    assert "training.tagging: error:" in capsys.readouterr().err
    (tmp_path / "run.yaml").write_text("pictures: a\noutput: b\nstep: 3\n")
    assert main(["train", str(tmp_path / "run.yaml")]) == 2
    assert "step is unknown (did you mean steps?)" in capsys.readouterr().err
