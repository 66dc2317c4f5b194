from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lisa.errors import CheckpointError, ConfigError, ImageError
from lisa.tagging import Tagger, TagInfo, TextEncoder
from lisa.tagging.config import Kind
from tests.tiny_tagging import NAMES, assert_same_answers, tiny_model, write_clip, write_released
from tests.unit.odd_files import photo

KINDS: list[Kind] = ["recognize-anything", "recognize-anything-plus", "tag2text"]
PICTURES = [photo(60, 40), photo(33, 90, seed=1), photo(7, 5, seed=2)]


def tagger_of(kind: Kind) -> Tagger:
    groups = ("object or scene",) * 4 + ("action", "attribute")
    tags = [
        TagInfo(name, 0.5, group, f"字{name}") for name, group in zip(NAMES, groups, strict=True)
    ]
    return Tagger(tiny_model(kind, texts=5), tags)


TAGGERS = {kind: tagger_of(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_batched_equals_single(kind: Kind):
    tagger = TAGGERS[kind]
    single = torch.cat([tagger.probabilities([picture]) for picture in PICTURES])
    for size in (1, 2, 8):
        together = tagger.probabilities(PICTURES, batch_size=size)
        torch.testing.assert_close(together, single, atol=1e-5, rtol=1e-5)
    assert (single[0] - single[1]).abs().max() > 1e-3  # pictures do matter


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(KINDS), st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
def test_a_subset_has_the_same_probabilities(kind: Kind, names: list[str]):
    tagger = TAGGERS[kind]
    whole = tagger.probabilities(PICTURES[:1])
    part = tagger.restricted(names)
    places = [place for place, name in enumerate(NAMES) if name in names]
    assert [tag.name for tag in part.tags] == [NAMES[place] for place in places]
    torch.testing.assert_close(
        part.probabilities(PICTURES[:1]), whole[:, places], atol=1e-5, rtol=1e-5
    )


def test_what_a_tag_says():
    tagger = TAGGERS["recognize-anything"]
    (row,) = tagger.probabilities(PICTURES[:1]).tolist()
    limits = [probability - 0.01 if i % 2 else probability for i, probability in enumerate(row)]
    (tags,) = tagger.with_thresholds(limits)(PICTURES[:1])
    # Only a greater probability counts, an equal one does not.
    assert [tag.name for tag in tags] == [NAMES[1], NAMES[3], NAMES[5]]
    for tag, place in zip(tags, (1, 3, 5), strict=True):
        assert tag.probability == pytest.approx(row[place], abs=1e-6)
        assert tag.threshold == limits[place]
        assert tag.chinese == f"字{NAMES[place]}"
        assert tag.category == tagger.tags[place].category


def test_filters():
    tagger = TAGGERS["tag2text"]
    names = [tag.name for tag in tagger.restricted(categories=["action", "attribute"]).tags]
    assert names == ["running", "red"]
    names = [
        tag.name
        for tag in tagger.restricted(categories=["object or scene"], without=["cup", "dog"]).tags
    ]
    assert names == ["apple", "ball"]
    with pytest.raises(ConfigError, match="no tag 'room'"):
        tagger.restricted(without=["room"])
    with pytest.raises(ConfigError, match="category 'thing': known here are action, attribute"):
        tagger.restricted(categories=["thing"])
    with pytest.raises(ConfigError, match="no tag is left"):
        tagger.restricted(["cup"], without=["cup"])


def test_one_picture_is_no_list():
    for one in ("a.jpg", Path("a.jpg"), b"x", PICTURES[0], np.zeros((4, 4, 3), np.uint8)):
        with pytest.raises(ConfigError, match="give a list of pictures"):
            TAGGERS["tag2text"](one)  # type: ignore[arg-type]
    assert TAGGERS["tag2text"]([]) == []
    assert TAGGERS["tag2text"].probabilities([]).shape == (0, len(NAMES))


def test_odd_pictures():
    grey = np.full((5, 9), 40000, np.uint16)
    clear = np.zeros((6, 6, 4), np.uint8)  # transparent means white, not black
    white = Image.new("RGB", (6, 6), "white")
    file = io.BytesIO()
    PICTURES[0].save(file, "PNG")
    tagger = TAGGERS["recognize-anything-plus"]
    rows = tagger.probabilities([grey, clear, white, file.getvalue()])
    torch.testing.assert_close(rows[1], rows[2])
    torch.testing.assert_close(rows[3], tagger.probabilities(PICTURES[:1])[0])
    with pytest.raises(ImageError, match="is not a picture"):
        tagger([b"no picture"])


# --- Loading and saving ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_released_file_and_what_is_saved_of_it(kind: Kind, tmp_path: Path):
    path = write_released(tiny_model(kind), tmp_path / "weights.pth")
    tagger = Tagger.from_pretrained(path, device="cpu", dtype="float32")
    assert [tag.name for tag in tagger.tags] == list(NAMES)
    tagger.save_pretrained(tmp_path / "ours")
    names = {file.name for file in (tmp_path / "ours").iterdir()}
    assert names == {"tagging.json", "tags.json", "model.safetensors"}
    again = Tagger.from_pretrained(tmp_path / "ours", device="cpu")
    assert again.tags == tagger.tags
    assert_same_answers(again, tagger, PICTURES)
    with pytest.raises(CheckpointError, match="is not an empty folder"):
        tagger.save_pretrained(tmp_path / "ours")


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_is_saved_as_a_part(kind: Kind, tmp_path: Path):
    part = TAGGERS[kind].restricted(["red", "cup"]).with_thresholds([0.25, 0.75])
    part.save_pretrained(tmp_path / "part")
    again = Tagger.from_pretrained(tmp_path / "part", device="cpu")
    assert again.tags == part.tags
    assert_same_answers(again, part, PICTURES)
    other = Tagger.from_pretrained(
        tmp_path / "part", tag_list=["a", "b"], thresholds=0.1, device="cpu"
    )
    # Groups and translations belonged to the names that they were saved with.
    assert other.tags == (TagInfo("a", 0.1), TagInfo("b", 0.1))


# --- Words of one's own ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder = write_clip(tmp_path_factory.mktemp("clip"))
    return TextEncoder.from_pretrained(folder, device="cpu", offline=True)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_own_words(kind: Kind, encoder: TextEncoder, tmp_path: Path):
    (tmp_path / "words.txt").write_text("teapot\n\nwool sock\n")
    tagger = TAGGERS[kind].with_words(tmp_path / "words.txt", encoder)
    assert [(tag.name, tag.threshold) for tag in tagger.tags] == [
        ("teapot", 0.5),
        ("wool sock", 0.5),
    ]
    one = TAGGERS[kind].with_words(["wool sock"], encoder)
    torch.testing.assert_close(
        tagger.probabilities(PICTURES)[:, 1:], one.probabilities(PICTURES), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS[:2])
def test_own_words_beside_the_models(kind: Kind, encoder: TextEncoder):
    own = TAGGERS[kind].with_words(["teapot", "cup"], encoder, threshold=0.3)
    mixed = TAGGERS[kind].with_words(["teapot", "cup"], encoder, threshold=0.3, keep=True)
    # A word of one's own takes the place of a tag of the same name.
    names = ["apple", "ball", "dog", "running", "red", "teapot", "cup"]
    assert [tag.name for tag in mixed.tags] == names
    rows = mixed.probabilities(PICTURES)
    kept = TAGGERS[kind].probabilities(PICTURES)[:, [0, 1, 3, 4, 5]]
    torch.testing.assert_close(rows[:, :5], kept, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rows[:, 5:], own.probabilities(PICTURES), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_descriptions(kind: Kind, encoder: TextEncoder, tmp_path: Path):
    described = [{"teapot": ["round", "it has a spout"]}, {"sock": ["wool", "warm", "soft"]}]
    (tmp_path / "texts.json").write_text(json.dumps(described))
    tagger = TAGGERS[kind].with_descriptions(tmp_path / "texts.json", encoder)
    assert [tag.name for tag in tagger.tags] == ["teapot", "sock"]
    again = TAGGERS[kind].with_descriptions(described[1:], encoder)
    torch.testing.assert_close(
        tagger.probabilities(PICTURES)[:, 1:], again.probabilities(PICTURES), atol=1e-5, rtol=1e-5
    )
    if kind == "recognize-anything-plus":
        with pytest.raises(ConfigError, match=r"different numbers of texts .*\(2, 3\)"):
            tagger.save_pretrained(tmp_path / "mixed")


def test_texts_of_the_plus_model_are_weighed_by_the_picture(encoder: TextEncoder):
    tagger = TAGGERS["recognize-anything-plus"].with_descriptions([{"x": ["a", "zebra"]}], encoder)
    model = tagger.model
    weights = model.weigh_texts(tagger.encode(PICTURES), tagger.labels.blocks[0])
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 1))
    assert (weights[0] - weights[1]).abs().max() > 1e-6


def test_a_model_for_words_alone_needs_no_lists(encoder: TextEncoder, tmp_path: Path):
    path = write_released(tiny_model("recognize-anything"), tmp_path / "weights.pth")
    (tmp_path / "ram_tag_list.txt").unlink()
    with pytest.raises(CheckpointError, match="names of the 6 tags are missing"):
        Tagger.from_pretrained(path, device="cpu")
    empty = Tagger.from_pretrained(path, tag_list=(), device="cpu")
    with pytest.raises(ConfigError, match="no tags yet"):
        empty(PICTURES)
    tagger = empty.with_words(["sock"], encoder, keep=True)
    assert tagger.probabilities(PICTURES).shape == (3, 1)
    tagger.save_pretrained(tmp_path / "sock")
    again = Tagger.from_pretrained(tmp_path / "sock", device="cpu")
    assert_same_answers(again, tagger, PICTURES)


def test_who_takes_no_words(encoder: TextEncoder, tmp_path: Path):
    with pytest.raises(ConfigError, match="this model knows only the tags"):
        TAGGERS["tag2text"].with_words(["sock"], encoder)
    other = TextEncoder.from_pretrained(write_clip(tmp_path / "clip", width=20), device="cpu")
    with pytest.raises(ConfigError, match="gives 20 numbers a text and the tagger reads 12"):
        TAGGERS["recognize-anything"].with_words(["sock"], other)
