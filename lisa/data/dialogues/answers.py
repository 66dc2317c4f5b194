"""What the assistant says after a tool has answered: plain sentences that keep to the result."""

from __future__ import annotations

from collections.abc import Sequence

from lisa.data.dialogues.state import DialogueState, NamedObject
from lisa.observations import NOTHING, RelationWords, percent


def called(state: DialogueState, segment: NamedObject) -> str:
    """Return a segment inside a sentence: "the cup (#2)", or "#2" if nobody has named it."""
    if segment.what is None:
        return segment.name
    return f"{state.scene.item(segment.index).definite} ({segment.name})"


def opened(text: str) -> str:
    """Return a sentence with a capital at its start."""
    return text[:1].upper() + text[1:]


def joined(parts: Sequence[str]) -> str:
    """Return parts as a sentence lists them."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def tags_answer(things: Sequence[str], others: Sequence[str]) -> str:
    """Say which tags there are."""
    if not things:
        return "I do not recognise anything in the picture."
    text = f"I see: {', '.join(things)}"
    return f"{text}; and also {joined(others)}." if others else f"{text}."


def relations_answer(
    state: DialogueState, found: Sequence[tuple[NamedObject, RelationWords, NamedObject]]
) -> str:
    """Say how things relate."""
    if not found:
        return "I found nothing like that."
    said = [
        f"{called(state, one)} {state.scene.item(one.index).verb} {words.predicate} "
        f"{called(state, other)}"
        for one, words, other in found
    ]
    return f"{opened(joined(said))}."


def region_answer(segment: NamedObject, definite: str, details: str) -> str:
    """Say what a segment shows; `details` as the tool gave them."""
    return f"{segment.name} is {definite}: {details}."


def area_answer(state: DialogueState, segment: NamedObject, share: float, pixels: int) -> str:
    """Say how large a segment is."""
    return opened(
        f"{called(state, segment)} covers {percent(share)} of the picture, {pixels} pixels."
    )


def overlap_answer(one: str, other: str, pixels: int) -> str:
    """Say whether two segments overlap."""
    if not pixels:
        return f"No, {one} and {other} do not overlap."
    return f"Yes, {one} and {other} share {pixels} pixels."


def distance_answer(one: str, other: str, pixels: int) -> str:
    """Say how far apart two segments are."""
    return opened(f"{one} and {other} are {pixels} pixels apart.")


def count_answer(segments: Sequence[NamedObject]) -> str:
    """Say how many there are, and which."""
    if not segments:
        return "There are none."
    listed = joined([f"{one.what} ({one.name})" for one in segments])
    return f"There {'is' if len(segments) == 1 else 'are'} {len(segments)}: {listed}."


def masks_answer(names: Sequence[str]) -> str:
    """Say which masks there are."""
    if not names:
        return f"I found {NOTHING} to outline."
    return f"I outlined {len(names)} things: {joined(names)}."


def error_answer(message: str) -> str:
    """Say that a tool could not do it."""
    return f"That did not work: {message}"
