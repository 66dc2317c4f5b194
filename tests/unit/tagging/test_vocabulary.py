from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lisa.errors import CheckpointError, ConfigError
from lisa.tagging import TextEncoder
from lisa.tagging.vocabulary import describe_words, ensemble, own_words, sentence
from tests.tiny_tagging import WIDTH, write_clip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder.from_pretrained(write_clip(tmp_path_factory.mktemp("clip")), device="cpu")


@pytest.mark.parametrize(
    ("word", "template", "text"),
    [
        ("Red_Cup.", "one {}", "one red cup"),
        ("cup/mug", "one {}", "one cup or mug"),
        ("Apple", "{article} {}", "This is an apple"),
        ("cup", "a photo of the {}.", "This is a photo of the cup."),
        ("cup", "the {}", "This is the cup"),
        ("cup", "There is {article} {} in it.", "There is a cup in it."),
        ("{article}", "one {}", "one {article}"),
    ],
)
def test_sentences(word: str, template: str, text: str):
    assert sentence(word, template) == text


def test_a_word_is_the_mean_of_its_sentences(encoder: TextEncoder):
    templates = ("one {}", "{} here", "some {}")
    several = ensemble(["cup", "dog"], encoder, templates, average=False)
    assert several.shape == (2, 3, WIDTH)
    torch.testing.assert_close(several.norm(dim=-1), torch.ones(2, 3))
    one = ensemble(["cup", "dog"], encoder, templates)
    assert one.shape == (2, 1, WIDTH)
    mean = several.mean(dim=1)
    torch.testing.assert_close(one[:, 0], mean / mean.norm(dim=-1, keepdim=True))
    assert (one[0] - one[1]).abs().max() > 1e-3


def test_a_text_does_not_depend_on_the_others(encoder: TextEncoder):
    texts = ["cup", "a very much longer text about a dog", "x" * 200]
    together = encoder.encode(texts)
    for text, row in zip(texts, together, strict=True):
        torch.testing.assert_close(encoder.encode([text])[0], row, atol=1e-5, rtol=1e-5)
    assert encoder.encode([]).shape == (0, WIDTH)


def test_templates_from_a_file(encoder: TextEncoder, tmp_path: Path):
    (tmp_path / "templates.txt").write_text("one {}\nsome {}\n")
    expected = ensemble(["cup"], encoder, ["one {}", "some {}"])
    assert torch.equal(ensemble(["cup"], encoder, tmp_path / "templates.txt"), expected)


def test_templates_that_cannot_be(encoder: TextEncoder):
    with pytest.raises(ConfigError, match="'a photo' has no {} where the word goes"):
        ensemble(["cup"], encoder, ["a {}", "a photo"])
    with pytest.raises(ConfigError, match="list of templates is empty"):
        ensemble(["cup"], encoder, [])


@pytest.mark.parametrize(
    ("words", "sentence"), [([], "no word to look for"), (["a", "b", "a"], "'a' is there twice")]
)
def test_words_that_cannot_be(words: list[str], sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        own_words(words)


@pytest.mark.parametrize("content", [[3], ["cup"], 7, [{"cup": []}], [{"cup": "round"}], [{}]])
def test_descriptions_that_cannot_be(content: object, encoder: TextEncoder):
    with pytest.raises(ConfigError, match="must be a|no word to look for"):
        describe_words(content, encoder, average=False)  # type: ignore[arg-type]


def test_a_file_that_is_no_json(encoder: TextEncoder, tmp_path: Path):
    (tmp_path / "texts.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        describe_words(tmp_path / "texts.json", encoder, average=False)


def test_what_is_no_clip(tmp_path: Path):
    with pytest.raises(CheckpointError, match="holds no CLIP text encoder"):
        TextEncoder.from_pretrained(tmp_path, device="cpu")
