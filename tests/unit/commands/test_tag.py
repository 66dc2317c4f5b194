"""`lisa tag` and `lisa caption`, end to end with tiny weights in the released layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lisa
from lisa.cli import main
from lisa.tagging import Captioner, Tagger, TagInfo
from tests.tiny_tagging import (
    NAMES,
    tiny_model,
    trunk_model,
    write_clip,
    write_lisa,
    write_released,
)
from tests.unit.odd_files import photo


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    kinds = {"open": "recognize-anything", "plus": "recognize-anything-plus", "t2t": "tag2text"}
    return {
        name: write_released(tiny_model(kind), tmp_path_factory.mktemp(name) / "weights.pth")
        for name, kind in kinds.items()
    }


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    photo(60, 40).save(folder / "a.png")
    photo(30, 50, seed=1).save(folder / "b.jpg")
    return folder


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("name", ["open", "plus", "t2t"])
def test_tags_as_json(name: str, weights, pictures: Path, capsys):
    model = str(weights[name])
    code = main(["tag", str(pictures), "--model", model, "--json", "--device", "cpu"])
    assert code == 0
    records = [json.loads(line) for line in lines(capsys)]
    assert [Path(record["image"]).name for record in records] == ["a.png", "b.jpg"]
    tagger = Tagger.from_pretrained(model, device="cpu")
    for record, tags in zip(records, tagger([pictures / "a.png", pictures / "b.jpg"]), strict=True):
        found = {tag["name"]: tag["probability"] for tag in record["tags"]}
        assert found == {tag.name: pytest.approx(tag.probability, abs=1e-5) for tag in tags}
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_tags_as_text_and_one_threshold(weights, pictures: Path, capsys):
    arguments = ["tag", str(pictures / "*.png"), "--model", str(weights["open"])]
    assert main([*arguments, "--threshold", "0"]) == 0
    (line,) = lines(capsys)
    assert all(f"{name} 0." in line or f"{name} 1." in line for name in NAMES)
    assert main([*arguments, "--threshold", "1"]) == 0
    (line,) = lines(capsys)
    assert line.endswith("a.png: no tag is sure enough")


def test_own_words(weights, pictures: Path, tmp_path: Path, capsys):
    (tmp_path / "words.txt").write_text("teapot\nsock\n")
    (tmp_path / "texts.json").write_text('[{"hat": ["worn on a head", "made of felt"]}]')
    clip = write_clip(tmp_path / "clip")
    lists = weights["plus"].parent / "ram_tag_list.txt"
    arguments = [
        *("tag", str(pictures / "a.png"), "--model", str(weights["plus"]), "--json"),
        *("--vocab", str(tmp_path / "words.txt"), "--clip", str(clip), "--threshold", "0"),
    ]
    described = ["--descriptions", str(tmp_path / "texts.json")]
    for more, expected in (
        ([], {"teapot", "sock"}),
        (described, {"teapot", "sock", "hat"}),
        (["--keep", "--tag-list", str(lists)], {"teapot", "sock", *NAMES}),
    ):
        assert main([*arguments, *more]) == 0
        (line,) = lines(capsys)
        assert {tag["name"] for tag in json.loads(line)["tags"]} == expected


def test_templates_of_ones_own(weights, pictures: Path, tmp_path: Path, capsys):
    (tmp_path / "words.txt").write_text("teapot\n")
    arguments = [
        *("tag", str(pictures / "a.png"), "--model", str(weights["open"]), "--json"),
        *("--vocab", str(tmp_path / "words.txt"), "--clip", str(write_clip(tmp_path / "clip"))),
        *("--threshold", "0"),
    ]
    said = []
    for templates in ("this is {}\n", "{} of {}\nsome {}\n"):
        (tmp_path / "templates.txt").write_text(templates)
        assert main([*arguments, "--templates", str(tmp_path / "templates.txt")]) == 0
        said += lines(capsys)
    assert said[0] != said[1]


def test_words_of_ones_own_need_a_model_for_them(weights, pictures: Path, tmp_path: Path, capsys):
    """The sentence comes before a CLIP is looked for."""
    words = ["--vocab", str(tmp_path / "words.txt"), "--clip", "of/nobody"]
    assert main(["tag", str(pictures), "--model", str(weights["t2t"]), *words]) == 2
    assert "knows only the tags that it was trained with" in capsys.readouterr().err


def test_some_tags(pictures: Path, tmp_path: Path, capsys):
    model = trunk_model(write_lisa(tmp_path / "lisa"), 3)
    tags = [
        TagInfo("dog", 0, "object"),
        TagInfo("cup", 0, "object"),
        TagInfo("red", 0, "attribute"),
    ]
    Tagger(model, tags).save_pretrained(tmp_path / "tagger")
    arguments = ["tag", str(pictures / "a.png"), "--model", str(tmp_path / "tagger"), "--json"]
    for more, expected in (
        ([], {"dog", "cup", "red"}),
        (["--category", "object"], {"dog", "cup"}),
        (["--category", "object", "--category", "attribute", "--without", "cup,"], {"dog", "red"}),
    ):
        assert main([*arguments, *more]) == 0
        (line,) = lines(capsys)
        assert {tag["name"] for tag in json.loads(line)["tags"]} == expected
    assert main([*arguments, "--category", "action"]) == 2
    assert "no tag has the category 'action'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["tag", "caption"])
def test_a_damaged_picture_costs_one_sentence(command: str, weights, pictures: Path, capsys):
    (pictures / "aa.png").write_bytes(b"no picture")
    code = main([command, str(pictures), "--model", str(weights["t2t"]), "--offline", "--json"])
    assert code == 2
    said = capsys.readouterr()
    assert [Path(json.loads(line)["image"]).name for line in said.out.splitlines()] == [
        "a.png",
        "b.jpg",
    ]
    complaints = [line for line in said.err.splitlines() if "aa.png" in line]
    assert len(complaints) == 1
    assert "is not a picture" in complaints[0]


def test_captions(weights, pictures: Path, capsys):
    arguments = [
        *("caption", str(pictures), "--model", str(weights["t2t"]), "--offline"),
        *("--device", "cpu", "--threshold", "0.3"),
    ]
    captioner = Captioner.from_pretrained(
        weights["t2t"], thresholds=0.3, device="cpu", offline=True
    )
    paths = [pictures / "a.png", pictures / "b.jpg"]
    expected = captioner(paths)
    assert main([*arguments, "--json"]) == 0
    records = [json.loads(line) for line in lines(capsys)]
    assert [(record["text"], tuple(record["tags"])) for record in records] == [
        (caption.text, caption.tags) for caption in expected
    ]
    assert main([*arguments, "--tags", "dog, cup,"]) == 0
    given = captioner(paths, [["dog", "cup"]] * 2)
    assert lines(capsys) == [
        f"{path}: {caption.text}" for path, caption in zip(paths, given, strict=True)
    ]
    drawn = []
    for seed in ("1", "1", "2"):
        assert main([*arguments, "--tags", "dog", "--sample", "--seed", seed]) == 0
        drawn.append(lines(capsys))
    assert drawn[0] == drawn[1]


def test_the_model_that_comes_with_the_package(capsys):
    """Without --model, and with nothing to fetch."""
    demo = Path(lisa.__file__).parent / "nano" / "demo" / "scene.jpg"
    arguments = ["tag", str(demo), "--offline", "--device", "cpu"]
    assert main([*arguments, "--json"]) == 0
    (line,) = lines(capsys)
    found = {tag["name"]: tag["category"] for tag in json.loads(line)["tags"]}
    assert found["avocado"] == "object"
    assert {"object", "kind", "attribute"} == set(found.values())
    assert main([*arguments, "--category", "kind"]) == 0
    (line,) = lines(capsys)
    assert "fruit" in line
    assert "avocado" not in line


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["caption", "a.png", "--sample"],
            "--sample changes nothing about a sentence of lisa-nano",
        ),
        (["tag", "a.png", "--model", "no.pth"], "There is no file no.pth"),
        (["tag", "a.png", "--keep"], "--keep goes with --vocab"),
        (["tag", "a.png", "--templates", "x"], "--templates goes with --vocab"),
        (["caption", "a.png", "--model", "no", "--tags", " ,"], "--tags names nothing"),
        (["tag", "a.png", "--model", "x", "--threshold", "2"], "no number between 0 and 1"),
        (["tag", "a.png", "--threshold", "1", "--thresholds", "x"], "not allowed with"),
    ],
)
def test_mistakes_in_one_sentence(arguments: list[str], sentence: str, capsys):
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err


def test_no_captions_from_a_tagger(weights, pictures: Path, capsys):
    model = str(weights["plus"])
    assert main(["caption", str(pictures), "--model", model, "--offline"]) == 2
    assert "holds no text models" in capsys.readouterr().err
