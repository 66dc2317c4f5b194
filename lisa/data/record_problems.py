"""What is wrong with a record before any picture is opened: words, turns, control tokens."""

from __future__ import annotations

from collections.abc import Iterator

from lisa.data.records import Dialogue, Record, Target
from lisa.tokens import (
    IMAGE_END_TOKEN,
    IMAGE_START_TOKEN,
    IMAGE_TOKEN,
    REJECT_TOKEN,
    SEG_TOKEN,
)
from lisa.types import Message

_PICTURE_TOKENS = (IMAGE_TOKEN, IMAGE_START_TOKEN, IMAGE_END_TOKEN)
_POINTING_TOKENS = (SEG_TOKEN, REJECT_TOKEN)


def record_problems(record: Record) -> Iterator[str]:
    """Yield a sentence for everything in a record that nothing could be learnt from, or not right.

    Args:
        record: Of any reader; neither its picture nor its masks are read.
    """
    if not record.targets and not record.dialogues:
        yield "nothing is said about the picture: add messages or targets."
    for number, target in enumerate(record.targets, 1):
        for problem in _target_problems(target):
            yield f"target {number}: {problem}"
    for number, dialogue in enumerate(record.dialogues, 1):
        place = f"dialogue {number}: " if len(record.dialogues) > 1 else ""
        for problem in _dialogue_problems(dialogue):
            yield place + problem


def _target_problems(target: Target) -> Iterator[str]:
    if not target.expressions:
        yield "no text stands for it: say what it is."
    for expression in target.expressions:
        if not expression.text.strip():
            yield "its text is empty: say what the region is."
        yield from _found(expression.text, (*_PICTURE_TOKENS, *_POINTING_TOKENS), "its text")
    if target.explanation is not None:
        yield from _found(
            target.explanation, (*_PICTURE_TOKENS, *_POINTING_TOKENS), "its explanation"
        )


def _dialogue_problems(dialogue: Dialogue) -> Iterator[str]:
    messages = dialogue.conversation.messages
    yield from _turn_problems(messages)
    for number, message in enumerate(messages, 1):
        place = f"message {number} ({message.role})"
        if not message.text.strip():
            yield f"{place} is empty: write what is said."
        own = message.role == "assistant"
        forbidden = _PICTURE_TOKENS if own else (*_PICTURE_TOKENS, *_POINTING_TOKENS)
        yield from _found(message.text, forbidden, place)
    pointed = sum(m.text.count(SEG_TOKEN) for m in messages if m.role == "assistant")
    if pointed != len(dialogue.segments):
        yield (
            f"the assistant says {SEG_TOKEN} {_times(pointed)}, but there "
            f"{_are(len(dialogue.segments))}: give one segment for every {SEG_TOKEN}, in reading "
            "order."
        )


def _turn_problems(messages: tuple[Message, ...]) -> Iterator[str]:
    if not messages:
        yield "the conversation has no messages: begin with one of the user."
        return
    start = 1 if messages[0].role == "system" else 0
    for number, message in enumerate(messages[start:], start):
        expected = "assistant" if (number - start) % 2 else "user"
        if message.role != expected:
            yield (
                f"message {number + 1} is of the {message.role}, but it is the {expected}'s turn: "
                "user and assistant must alternate, and the user begins."
            )
            return  # all later ones would be out of step as well
    if messages[-1].role != "assistant":
        yield "the conversation ends without an answer: the last message must be the assistant's."


def _found(text: str, tokens: tuple[str, ...], place: str) -> Iterator[str]:
    for token in tokens:
        if token not in text:
            continue
        if token in _PICTURE_TOKENS:
            yield f"{place} holds {token}: leave it out, the picture is shown by itself."
        else:
            yield f"{place} holds {token}, which only the assistant may say: leave it out."


def _times(count: int) -> str:
    return "never" if not count else "once" if count == 1 else f"{count} times"


def _are(count: int) -> str:
    return "are no segments" if not count else "is 1 segment" if count == 1 else f"are {count}"
