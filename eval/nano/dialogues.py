"""Dialogues with tools about the fixed scenes: `python -m eval.nano.dialogues`.

Each dialogue has two to four questions in held-out wordings. The model reads it up to the last
question as it should have gone, and then

- has to call the right tool, or none, with arguments that the tool takes ("right call"),
- has to mean the right segments ("references": of the questions that mean things found before, as
  "#2" or "it" or "the other one", those whose call names all of them; "right arguments" asks for
  all of a call),
- gets what the tool would have answered and has to say it ("answers": the words of the generator,
  to the letter; "numbers and names": all of them, and no others).
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from eval.nano.pictures import Picture
from eval.nano.read_scenes import load_scenes
from lisa.data.dialogues import TRAINED_TOOLS, Dialogue, DialogueTurn, SceneFacts, make_dialogue
from lisa.data.scenes import scene_relations
from lisa.errors import DataError, LisaError
from lisa.tokens import TOOL_CALL_END
from lisa.tool_calls import ToolCall, read_call
from lisa.types import Conversation

if TYPE_CHECKING:
    from lisa.models import EncodedImage, Reading
    from lisa.pipeline import LisaPipeline

SEED = 20261121
DIALOGUES = 200
_ANSWER_TOKENS = 96
_KINDS_OF_MEASURES = ("area", "overlap", "distance", "count")
_FACTS = re.compile(r"#\d+|\d+(?:\.\d+)?|\[SEG\]|\[REJ\]")


@dataclass(frozen=True)
class JudgedTurn:
    """What a model did with the last question of a dialogue.

    Attributes:
        turn: What was right.
        said: What the model wrote first.
        is_right_call: The right tool, or rightly none, with arguments that the tool takes.
        has_right_arguments: And they are those that were meant; None where there are none.
        names_what_was_meant: Whether a call, of whatever tool, names every segment that the right
            one names; None where that is none.
        answer: What it said after the tool's answer; None where no tool is needed.
        expected: What it should have said.
    """

    turn: DialogueTurn
    said: str
    is_right_call: bool
    has_right_arguments: bool | None
    names_what_was_meant: bool | None
    answer: str | None
    expected: str | None


def held_out_dialogues(pictures: Sequence[Picture], count: int) -> list[tuple[int, Dialogue]]:
    """Write dialogues about the scenes, in turn; the same ones every time.

    Returns:
        Each with the place of its picture.
    """
    written = []
    for number in range(count):
        place = number % len(pictures)
        objects = pictures[place].objects
        masks = np.stack([one.mask for one in objects])
        facts = SceneFacts(tuple(one.name for one in objects), masks, scene_relations(list(masks)))
        rng = random.Random(f"{SEED} {number}")
        written.append((place, make_dialogue(facts, rng, "eval", rng.randint(2, 4))))
    return written


def is_valid(call: ToolCall) -> bool:
    """Tell whether a tool of that name takes these arguments."""
    tool = next((one for one in TRAINED_TOOLS if one.name == call.name), None)
    if tool is None:
        return False
    known, required = tool.parameters["properties"], tool.parameters["required"]
    if not set(required) <= set(call.arguments) <= set(known):
        return False
    for name, value in call.arguments.items():
        if name == "segments":
            if not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
                return False
        elif not isinstance(value, str):
            return False
    arguments = call.arguments
    return (call.name != "measure" or arguments["what"] in _KINDS_OF_MEASURES) and (
        call.name != "edit" or arguments["change"] in ("bigger", "smaller")
    )


def judge(turn: DialogueTurn, said: str) -> tuple[bool, bool | None]:
    """Judge what a model wrote: whether the call is right, and whether its arguments are."""
    try:
        call = read_call(said)
    except DataError:
        return False, None if turn.call is None else False
    if turn.call is None or call is None:
        return call is turn.call, None if turn.call is None else False
    is_right = call.name == turn.call.name and is_valid(call)
    return is_right, is_right and dict(call.arguments) == dict(turn.call.arguments)


def names_what_was_meant(turn: DialogueTurn, said: str) -> bool | None:
    """Tell whether a call names all segments that it had to; None if it had to name none."""
    meant = set() if turn.call is None else _segment_names(turn.call)
    if not meant:
        return None
    try:
        call = read_call(said)
    except DataError:
        return False
    return call is not None and meant <= _segment_names(call)


def _segment_names(call: ToolCall) -> set[str]:
    values: list[object] = []
    for value in call.arguments.values():
        values += value if isinstance(value, list) else [value]
    return {value for value in values if isinstance(value, str) and value.startswith("#")}


def judge_dialogue(pipeline: LisaPipeline, picture: Picture, dialogue: Dialogue) -> JudgedTurn:
    """Ask a model the last question of a dialogue, and again with the tool's answer."""
    from lisa.models import Reading

    turn = dialogue.turns[-1]
    image, reading = pipeline.encode(picture.open()), Reading()
    said = _say(pipeline, image, _until(dialogue, turn.question + 1), reading)
    answer = expected = None
    if turn.call is not None:
        # Behind the question stand the call and what the tool answers.
        answer = _say(pipeline, image, _until(dialogue, turn.question + 3), reading)
        expected = dialogue.conversation.messages[-1].text
    named = names_what_was_meant(turn, said)
    return JudgedTurn(turn, said, *judge(turn, said), named, answer, expected)


def _say(
    pipeline: LisaPipeline, image: EncodedImage, conversation: Conversation, reading: Reading
) -> str:
    """Return the model's next message, up to the end of a call at most."""
    return pipeline.answer(
        [image],
        [conversation],
        [0],
        max_new_tokens=_ANSWER_TOKENS,
        reading=reading,
        watch=lambda row, text: TOOL_CALL_END not in text,
    )[0].text


def _until(dialogue: Dialogue, end: int) -> Conversation:
    return replace(dialogue.conversation, messages=dialogue.conversation.messages[:end])


def report_of(judged: Sequence[JudgedTurn]) -> dict[str, Any]:
    """Sum up; shares in [0, 1], None where there is nothing to judge."""
    called = [one for one in judged if one.turn.call is not None]
    referring = [one for one in judged if one.names_what_was_meant is not None]
    kinds = sorted({one.turn.kind for one in judged})
    return {
        "dialogues": len(judged),
        "right call": _share([one.is_right_call for one in judged]),
        "right arguments": _share([one.has_right_arguments is True for one in called]),
        "references": _share([bool(one.names_what_was_meant) for one in referring]),
        "questions with references": len(referring),
        "references from context": _share(
            [bool(one.names_what_was_meant) for one in referring if one.turn.reference == "context"]
        ),
        "answers": _share([one.answer == one.expected for one in called]),
        "numbers and names": _share([_facts(one.answer) == _facts(one.expected) for one in called]),
        "right call by kind": {
            kind: _share([one.is_right_call for one in judged if one.turn.kind == kind])
            for kind in kinds
        },
    }


def _share(right: Sequence[bool]) -> float | None:
    return float(np.mean(right)) if right else None


def _facts(text: str | None) -> list[str]:
    return sorted(_FACTS.findall(text or ""))


def to_markdown(report: dict[str, Any]) -> str:
    """Write the report as a table."""
    rows = [
        (name, "–" if value is None else value if isinstance(value, int) else f"{value:.3f}")
        for name, value in {**report, **report["right call by kind"]}.items()
        if not isinstance(value, dict)
    ]
    return "\n".join(
        ["| dialogues with tools | |", "|---|---|", *(f"| {n} | {v} |" for n, v in rows)]
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.nano.dialogues", description="Judge how a model uses its tools."
    )
    parser.add_argument("--model", default="lisa-nano", help="a model that was trained with tools")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument(
        "--limit", type=int, default=DIALOGUES, metavar="N", help="dialogues (default: %(default)s)"
    )
    parser.add_argument("--show", action="store_true", help="print what went wrong too")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 for a mistake that the message explains."""
    args = build_parser().parse_args(argv)
    from lisa.pipeline import LisaPipeline

    try:
        pipeline = LisaPipeline.from_pretrained(args.model, device=args.device)
        if not pipeline.processor.settings.tools:
            raise DataError(f"{args.model} was not trained with tools: name a model that was.")
        pictures = load_scenes()
        written = held_out_dialogues(pictures, args.limit)
        judged = [
            judge_dialogue(pipeline, pictures[place], dialogue)
            for place, dialogue in tqdm(written, "dialogues", disable=None)
        ]
    except LisaError as error:
        print(f"lisa: error: {error}", file=sys.stderr)
        return 2
    if args.show:
        for one in judged:
            if not one.is_right_call or one.has_right_arguments is False:
                print(f"{one.turn.kind}: {one.turn.call}\n  said {one.said!r}")
            if one.answer != one.expected:
                print(f"{one.turn.kind}: {one.expected!r}\n  said {one.answer!r}")
    report = report_of(judged)
    print(json.dumps(report) if args.json else to_markdown(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
