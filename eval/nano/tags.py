"""Scores a tagger on the fixed scenes: `python -m eval.nano.tags [--model lisa-nano]`.

Right tags are the things of a scene, their kinds and their colours, as `lisa.data.scene_tags` says;
figures are those of `eval.metrics.tagging`. Tags that no scene has are left out of the means.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics import Figure, TagRecord, tagging_figures
from eval.nano.pictures import Picture
from eval.nano.read_scenes import load_scenes
from lisa.data.knowledge import load_knowledge
from lisa.data.scene_tags import SceneTag, scene_vocabulary, tags_of_things
from lisa.errors import ConfigError, LisaError

if TYPE_CHECKING:
    from PIL import Image

    from lisa.tagging import Tagger

ALL = "all"
_BATCH = 20


def right_tags(picture: Picture, image: Image.Image) -> frozenset[str]:
    """Returns the tags that a scene has.

    Args:
        picture: The scene.
        image: What `picture.open()` returned.
    """
    names = [one.name for one in picture.objects]
    masks = [one.mask for one in picture.objects]
    return frozenset().union(*tags_of_things(load_knowledge(), names, np.asarray(image), masks))


def score_tagger(tagger: Tagger, pictures: Sequence[Picture]) -> dict[str, tuple[Figure, ...]]:
    """Returns the figures over all tags and over each category of tags.

    Args:
        tagger: One that knows every tag of `scene_vocabulary`.
        pictures: The scenes.

    Raises:
        ConfigError: If the tagger lacks a tag.
    """
    vocabulary = scene_vocabulary(load_knowledge())
    asked = _asked(tagger, vocabulary)
    place_of = {tag.name: place for place, tag in enumerate(asked.tags)}
    order = [place_of[tag.name] for tag in vocabulary]
    probabilities, shown = [], []
    for start in range(0, len(pictures), _BATCH):
        part = pictures[start : start + _BATCH]
        images = [picture.open() for picture in part]
        probabilities.append(asked.probabilities(images).numpy()[:, order])
        for picture, image in zip(part, images, strict=True):
            found = right_tags(picture, image)
            shown.append([tag.name in found for tag in vocabulary])
    rows, truth = np.concatenate(probabilities), np.array(shown)
    limits = np.array([asked.tags[place].threshold for place in order])
    groups = {ALL: [*range(len(vocabulary))]}
    for place, tag in enumerate(vocabulary):
        groups.setdefault(tag.category, []).append(place)
    return {
        name: tagging_figures(
            [
                TagRecord(picture.key, row[chosen], right[chosen])
                for picture, row, right in zip(pictures, rows, truth, strict=True)
            ],
            limits[chosen],
            [vocabulary[place].name for place in chosen],
        )
        for name, chosen in groups.items()
    }


def _asked(tagger: Tagger, vocabulary: Sequence[SceneTag]) -> Tagger:
    known = {tag.name for tag in tagger.tags}
    lacking = [tag.name for tag in vocabulary if tag.name not in known]
    if lacking:
        raise ConfigError(
            f"the tagger lacks {len(lacking)} tags of the scenes, such as {lacking[0]!r}: score "
            "the tagger of lisa-nano, or one that was trained like it."
        )
    return tagger.restricted([tag.name for tag in vocabulary])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns 0, or 2 for a mistake that the message explains."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.nano.tags", description="Score a tagger on the fixed scenes."
    )
    parser.add_argument("--model", default="lisa-nano", help="default: %(default)s")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    from lisa.tagging import Tagger

    try:
        tagger = Tagger.from_pretrained(args.model, device=args.device)
        scores = score_tagger(tagger, load_scenes())
    except LisaError as error:
        print(f"lisa: error: {error}", file=sys.stderr)
        return 2
    # The reading that leaves out classes without what a figure needs, which its name says.
    values = {
        group: {one.name: one.value for one in figures if "(" in one.name}
        for group, figures in scores.items()
    }
    if args.json:
        print(json.dumps(values))
        return 0
    for group, named in values.items():
        print(f"{group}: " + ", ".join(f"{name} {value:.3f}" for name, value in named.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
