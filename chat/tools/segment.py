"""The tool that segments what words, a box or points show; for models that write no [SEG]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import Field

from chat.tools.contract import Tool, ToolArguments, ToolResult, ToolScene
from chat.tools.references import MAX_REFERENCE
from chat.tools.things import Finder
from chat.tools.words import plain
from lisa.errors import DataError
from lisa.observations import say_masks
from lisa.phrases import phrase_before
from lisa.types import Box, Conversation, ImageSize, Segment

MOST_POINTS = 16
_ANSWER_TOKENS = 96

Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Point: TypeAlias = Annotated[list[Number], Field(min_length=2, max_length=2)]


class SegmentArguments(ToolArguments):
    """Exactly one of the three."""

    text: str | None = Field(
        default=None,
        description='What to segment, such as "the cup" or "what would I drink from?".',
        min_length=1,
        max_length=MAX_REFERENCE,
    )
    box: list[Number] | None = Field(
        default=None,
        description="[x0, y0, x1, y1] in pixels around one thing.",
        min_length=4,
        max_length=4,
    )
    points: list[Point] | None = Field(
        default=None,
        description="[[x, y], ...] in pixels, all on one thing.",
        min_length=1,
        max_length=MOST_POINTS,
    )


class SegmentTool(Tool[SegmentArguments]):
    """Asks the model that answers in masks, or its segmenter alone."""

    name = "segment"
    description = "Find the mask of what words describe, or of the thing in a box or at points."
    arguments = SegmentArguments

    def run(self, arguments: SegmentArguments, scene: ToolScene) -> ToolResult:
        """Segment.

        Raises:
            DataError: If not exactly one prompt is given, or it lies outside the picture.
            PromptError: If the words are too long for the model.
        """
        finder = Finder(scene)
        given = sum(one is not None for one in (arguments.text, arguments.box, arguments.points))
        if given != 1:
            raise DataError(f"{given} prompts were given: give one, either text, box, or points.")
        if arguments.text is not None:
            found = _by_words(scene, arguments.text)
        else:
            shown = _by_place(scene, arguments.box, arguments.points)
            (what,) = finder.words_for([shown])
            found = [(shown, what)]
        named = [finder.add(*one) for one in found if one[0].status == "found"]
        data = {"segments": [one.name for one in named]}
        return ToolResult(say_masks([one.label for one in named]), data, finder.new)


def _by_words(scene: ToolScene, words: str) -> list[tuple[Segment, str | None]]:
    """Return what the model shows as its answer, and what each is."""
    text = words.strip().rstrip(".")
    is_question = text.endswith("?")
    question = text if is_question else f"Segment {text}."
    bench = scene.workbench
    with bench.lock:
        if bench.rules_out(scene.picture, plain(text)):
            return []
        answer = bench.pipeline.answer(
            [bench.encode(scene.picture)],
            [Conversation().ask(question, image_index=0)],
            [0],
            max_new_tokens=_ANSWER_TOKENS,
        )[0]
    # The words of the call say what is shown, unless they were a question.
    asked = None if is_question else phrase_before(text, len(text))
    return [(one, asked or one.phrase) for one in answer.segments]


def _by_place(
    scene: ToolScene, box: Sequence[float] | None, points: Sequence[Sequence[float]] | None
) -> Segment:
    image = scene.picture.image
    size = ImageSize(image.height, image.width)
    bench = scene.workbench
    boxes = None if box is None else [checked_box(box, size)]
    places = None if points is None else checked_points(points, size)
    with bench.lock:
        # The segmenter's features are kept, so that a second prompt is quick.
        bench.promptable(scene.picture)
        return bench.pipeline.segment_region(
            bench.encode(scene.picture), points=places, boxes=boxes
        )[0]


def checked_box(box: Sequence[float], size: ImageSize) -> Box:
    """Return a box xyxy in pixels, cut at the edges of the picture.

    Raises:
        DataError: If it has no area inside the picture.
    """
    x0, y0, x1, y1 = box
    inside = (max(0.0, x0), max(0.0, y0), min(float(size.width), x1), min(float(size.height), y1))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise DataError(
            f"the box {_numbers(box)} has no area inside the picture, which is {size.width} pixels "
            f"wide and {size.height} high: give [x0, y0, x1, y1] in pixels."
        )
    return inside


def checked_points(points: Sequence[Sequence[float]], size: ImageSize) -> list[tuple[float, float]]:
    """Return points (x, y) in pixels.

    Raises:
        DataError: If one lies outside the picture.
    """
    for x, y in points:
        if not (0 <= x <= size.width and 0 <= y <= size.height):
            raise DataError(
                f"the point {_numbers((x, y))} is outside the picture, which is {size.width} "
                f"pixels wide and {size.height} high: give [x, y] in pixels."
            )
    return [(float(x), float(y)) for x, y in points]


def _numbers(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"
