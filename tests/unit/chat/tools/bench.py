"""A workbench of scripted models, and calls of tools on it; every tool and mask is real."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from chat.cancellation import Cancellation
from chat.draft import Draft
from chat.limits import SessionLimits
from chat.scene import DraftScene
from chat.state import SessionSegment, SessionState
from chat.tools.contract import Tool, ToolResult
from chat.workbench import Workbench
from lisa.masks import mask_to_box
from lisa.models import LisaModel
from lisa.pipeline import LisaPipeline
from lisa.processor import LisaProcessor
from lisa.relations import Relation, SceneGraph
from lisa.tagging.tags import Tag, TagInfo
from lisa.types import Box, Segment
from tests.tiny_nano import nano_model, nano_processor
from tests.unit.captions.scripted import Scripted

SIDE = 64
THINGS: dict[str, tuple[Box, tuple[int, int, int]]] = {
    "apple": ((4, 4, 16, 16), (220, 20, 20)),
    "pear": ((44, 6, 56, 18), (30, 160, 40)),
    "race car": ((20, 40, 50, 60), (20, 30, 210)),
}
"""What the picture shows: boxes and colours; the names are of the knowledge table."""


def box_segment(box: Box, score: float = 0.8) -> Segment:
    """A segment that fills a box."""
    mask = np.zeros((SIDE, SIDE), bool)
    x0, y0, x1, y1 = map(int, box)
    mask[y0:y1, x0:x1] = True
    return Segment(mask, mask_to_box(mask), score, "found", None, (0, 0))


def picture() -> Image.Image:
    """The things on white ground."""
    pixels = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for (x0, y0, x1, y1), colour in THINGS.values():
        pixels[int(y0) : int(y1), int(x0) : int(x1)] = colour
    return Image.fromarray(pixels)


class ScriptedTagger:
    """Sees what the script says; shows how often it is asked."""

    def __init__(self, seen: Sequence[tuple[str, str | None]], unseen: Sequence[str] = ()) -> None:
        self.tags = [TagInfo(name, 0.5, category) for name, category in seen]
        self.tags += [TagInfo(name, 0.5, "object") for name in unseen]
        self._seen = len(seen)
        self.asked = 0

    def probabilities(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """The first tag is the least sure one."""
        self.asked += 1
        row = [0.6 + 0.01 * n if n < self._seen else 0.01 for n in range(len(self.tags))]
        return torch.tensor([row] * len(images))

    def found(self, row: torch.Tensor) -> tuple[Tag, ...]:
        """The tags that are sure enough."""
        pairs = zip(self.tags, row.tolist(), strict=True)
        return tuple(
            Tag(tag.name, chance, tag.threshold, tag.category)
            for tag, chance in pairs
            if chance > tag.threshold
        )


class ScriptedRelations:
    """Relates by a function of two boxes; its weights seem to fit the tiny segmenter."""

    def __init__(
        self, judge: Callable[[Box, Box], Mapping[str, float]], predicates: Sequence[str]
    ) -> None:
        self.predicates = tuple(predicates)
        self.model = SimpleNamespace(config=SimpleNamespace(feature_size=16))
        self._judge = judge

    def __call__(self, segments: Sequence[Segment], features: torch.Tensor, **_: Any) -> SceneGraph:
        """Relate each to each other."""
        assert len(features) == len(segments)
        relations = [
            Relation(i, predicate, k, score)
            for i, one in enumerate(segments)
            for k, other in enumerate(segments)
            if i != k
            for predicate, score in self._judge(one.box, other.box).items()
        ]
        return SceneGraph(tuple(segments), tuple(relations))


DIRECTIONS = ("left of", "right of", "above", "below", "in front of", "behind", "touching")


def _apple_touches_pear(one: Box, other: Box) -> dict[str, float]:
    """Sure that the apple touches the pear, and wrong about every direction."""
    sure = {"left of": 0.2, "right of": 0.99, "above": 0.3, "below": 0.98}
    if one == THINGS["apple"][0] and other == THINGS["pear"][0]:
        return {**sure, "touching": 0.9, "behind": 0.2}
    if one == THINGS["pear"][0] and other == THINGS["apple"][0]:
        return {**sure, "touching": 0.3, "in front of": 0.7}
    return sure


@cache
def _tiny_parts() -> tuple[LisaModel, LisaProcessor]:
    return nano_model(SIDE), nano_processor(SIDE)


class Answering(Scripted):
    """The scripted pipeline on one tiny model for all tests, which nobody changes."""

    def __init__(self, script: Mapping[str, tuple[str, Sequence[Segment]]]) -> None:
        LisaPipeline.__init__(self, *_tiny_parts())
        self.script = script
        self.asked = []


def workbench(**changes: Any) -> Workbench:
    """Scripted models that know the picture; `changes` replace the arguments of `Workbench.of`."""
    script = {
        f"Segment the {name}.": (f"It is the {name} [SEG].", [box_segment(box)])
        for name, (box, _) in THINGS.items()
    }
    seen = [("red", "attribute"), ("fruit", "kind"), *((name, "object") for name in THINGS)]
    parts: dict[str, Any] = {
        "tagger": ScriptedTagger(seen, unseen=["zebra"]),
        "relations": ScriptedRelations(_apple_touches_pear, DIRECTIONS),
        **changes,
    }
    return Workbench.of(parts.pop("pipeline", None) or Answering(script), **parts)


class Table:
    """A session's draft on which tools are called one after the other."""

    def __init__(self, bench: Workbench | None = None) -> None:
        self.bench = bench or workbench()
        self.draft = Draft(SessionState(), SessionLimits())
        self.picture = self.draft.add_picture(picture(), "scene.png")
        self.cancellation = Cancellation()

    def call(self, tool: Tool, **arguments: Any) -> ToolResult:
        """Check the arguments and run the tool."""
        scene = DraftScene(self.draft, self.picture, tool.name, self.bench, self.cancellation)
        return tool.run(tool.check(arguments), scene)

    def segment(self, box: Box, what: str | None = None, picture: int = 1) -> SessionSegment:
        """Give a box its name."""
        return self.draft.add_segment(box_segment(box), what, picture, "answer")
