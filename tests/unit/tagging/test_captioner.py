from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lisa.errors import CheckpointError, ConfigError
from lisa.tagging import BeamSearch, Captioner, NucleusSampling, Tagger
from lisa.tagging import caption_words as module
from lisa.tagging.caption_words import CaptionWords
from tests.tiny_tagging import (
    NAMES,
    VOCABULARY,
    assert_same_answers,
    tiny_model,
    write_released,
)
from tests.unit.odd_files import photo

PICTURES = [photo(60, 40), photo(33, 90, seed=1), photo(7, 5, seed=2)]
TAGS = [["apple", "cup"], ["dog"], ["something long and unheard of", "red"]]
SEARCHES = [BeamSearch(), BeamSearch(beams=1, max_length=9, min_length=6), NucleusSampling(seed=3)]


@pytest.fixture(scope="module")
def captioner(tmp_path_factory: pytest.TempPathFactory) -> Captioner:
    folder = tmp_path_factory.mktemp("tag2text")
    write_released(tiny_model("tag2text"), folder / "weights.pth")
    return Captioner.from_pretrained(
        folder / "weights.pth", thresholds=0.3, device="cpu", offline=True
    )


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("tags", [TAGS, None])
def test_a_caption_does_not_depend_on_its_batch(captioner: Captioner, search, tags):
    together = captioner(PICTURES, tags, search)
    for number, picture in enumerate(PICTURES):
        own = None if tags is None else [tags[number]]
        assert captioner([picture], own, search) == [together[number]]
    reversed_tags = None if tags is None else tags[::-1]
    backwards = captioner(PICTURES[::-1], reversed_tags, search, batch_size=2)
    assert backwards == together[::-1]
    assert len({caption.text for caption in together}) > 1  # pictures or tags do matter


def test_states_of_a_batch(captioner: Captioner):
    tokens = captioner.tagger.encode(PICTURES)
    states = captioner.read_tags(tokens, TAGS)
    for number in range(len(PICTURES)):
        own = captioner.read_tags(tokens[number : number + 1], [TAGS[number]])
        torch.testing.assert_close(states[number : number + 1], own, atol=1e-5, rtol=1e-5)
        other = captioner.read_tags(tokens[number : number + 1], [TAGS[number - 1]])
        assert (own - other).abs().max() > 1e-3


def test_tags_of_the_model(captioner: Captioner):
    (tags,) = captioner.tagger(PICTURES[:1])
    names = tuple(tag.name for tag in tags)
    assert names
    (caption,) = captioner(PICTURES[:1])
    assert caption.tags == names
    left = [NAMES.index(names[0])]
    without = Captioner(captioner.tagger, captioner.words, left_out=left)
    assert without(PICTURES[:1])[0].tags == names[1:]


def test_lengths(captioner: Captioner):
    tokens = captioner.tagger.encode(PICTURES[:1])
    states = captioner.read_tags(tokens, TAGS[:1])
    for longest in (7, 12):
        (row,) = captioner.write_ids(states, BeamSearch(min_length=longest, max_length=longest))
        assert len(row) == longest
    for length in (4, 65):
        with pytest.raises(ConfigError, match=f"at most {length} tokens .* choose 5 to 64"):
            captioner(PICTURES[:1], TAGS[:1], BeamSearch(max_length=length))


def test_seeds(captioner: Captioner):
    before = torch.get_rng_state()
    texts = {
        captioner(PICTURES[:1], TAGS[:1], NucleusSampling(top_p=1.0, seed=seed))[0].text
        for seed in range(4)
    }
    assert len(texts) > 1
    assert torch.equal(torch.get_rng_state(), before)


def test_saved_and_loaded(captioner: Captioner, tmp_path: Path):
    captioner.save_pretrained(tmp_path / "ours")
    again = Captioner.from_pretrained(tmp_path / "ours", device="cpu", offline=True)
    assert again(PICTURES) == captioner(PICTURES)
    tagger = Tagger.from_pretrained(tmp_path / "ours", device="cpu")
    assert tagger.model.config == replace(captioner.tagger.model.config, text=None)
    assert_same_answers(tagger, captioner.tagger, PICTURES)
    tagger.save_pretrained(tmp_path / "tags")
    with pytest.raises(CheckpointError, match="holds no text models"):
        Captioner.from_pretrained(
            tmp_path / "tags", vocabulary=tmp_path / "ours", device="cpu", offline=True
        )


def test_given_tags_need_no_lists(tmp_path: Path, captioner: Captioner):
    path = write_released(tiny_model("tag2text"), tmp_path / "weights.pth")
    (tmp_path / "tag2text_ori_tag_list.txt").unlink()
    own = Captioner.from_pretrained(path, tag_list=(), device="cpu", offline=True)
    assert own(PICTURES, TAGS) == captioner(PICTURES, TAGS)
    with pytest.raises(ConfigError, match="knows no tags of its own"):
        own(PICTURES)
    with pytest.raises(ConfigError, match="2 lists of tags were given for 3 pictures"):
        own(PICTURES, TAGS[:2])


def test_words_back_and_forth():
    words = CaptionWords(VOCABULARY)
    captions = words.encode_captions(["a Red dog", "dog", "dog " * 50])
    assert captions.ids.shape == captions.mask.shape == captions.labels.shape == (3, 40)
    assert words.decode(captions.ids[0].tolist()) == "a red dog"
    assert captions.mask.sum(dim=1).tolist() == [8, 6, 40]
    learned = [[i for i in row.tolist() if i != -100] for row in captions.labels]
    assert words.decode([*words.prompt(), *learned[0]]) == "a red dog"
    assert [len(row) for row in learned] == [4, 2, 36]
    assert {row[-1] for row in learned} == {words.end}
    assert len(words) == len(VOCABULARY) + 2
    tags, mask = words.encode_tags([["dog"] * 50, []])
    assert tags.shape == mask.shape == (2, 40)
    assert mask.sum(dim=1).tolist() == [40, 2]
    assert tags[:, 0].tolist() == [words.tags_start] * 2
    assert tags[0, -1] == words.end


def test_vocabularies_that_cannot_be(captioner: Captioner, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"lacks \[SEP\]"):
        CaptionWords(["[PAD]", "[UNK]", "[CLS]"])
    with pytest.raises(CheckpointError, match="holds a token twice"):
        CaptionWords([*VOCABULARY, "dog"])
    with pytest.raises(CheckpointError, match=r"has \d+ words and the vocabulary \d+"):
        Captioner(captioner.tagger, CaptionWords([*VOCABULARY, "zoo"]))


def test_where_the_vocabulary_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def resolve(name: str, revision: str | None, offline: bool, **options: object) -> Path:
        asked.append((name, offline, options))
        if offline:
            raise CheckpointError("it is not on this machine.")
        return tmp_path / "hub"

    monkeypatch.setattr(module, "resolve", resolve)
    with pytest.raises(CheckpointError, match=r"Captions need vocab.txt of google-bert/bert-base"):
        CaptionWords.find(None, tmp_path, offline=True)
    (tmp_path / "hub").mkdir()
    CaptionWords(VOCABULARY).save(tmp_path / "hub")
    assert CaptionWords.find(None, tmp_path).vocabulary == VOCABULARY
    assert asked[-1][2] == {"wanted": ("vocab.txt",), "pickled": None}
    assert len(asked) == 2
    for given in (tmp_path / "hub", tmp_path / "hub" / "vocab.txt"):
        assert CaptionWords.find(given, tmp_path).vocabulary == VOCABULARY
    assert len(asked) == 2
