"""Makes the state of a session from messages, for conversations that the server has forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image

from chat.draft import plain_words
from chat.safety.sources import PictureSources
from chat.server.bodies import SegmentBody
from chat.server.conversations import Dialogue, Exchange, Question
from chat.server.errors import bad_request
from chat.state import SessionPicture, SessionSegment, SessionState, Turn
from chat.steps import Answered
from lisa.masks import decode_rle, mask_to_box
from lisa.tokenization import escape_control_tokens
from lisa.types import Conversation, Segment

MAX_MASK_PIXELS = 400_000_000
"""Of all masks that one request sends back."""


@dataclass(frozen=True)
class Restorer:
    """Opens what messages show and say.

    Attributes:
        sources: Opens their pictures.
        control_tokens: What an answer must not carry, if a client sends it: everything by which
            the model tells words from commands, but the mask token.
    """

    sources: PictureSources
    control_tokens: tuple[str, ...]

    def restore(self, dialogue: Dialogue) -> SessionState:
        """Return the state before the last question, as far as the messages tell.

        Raises:
            ImageError: A picture is refused.
            DataError: A mask is malformed.
            Refusal: 400 if segments do not fit their pictures or each other.
        """
        state = SessionState()
        budget = MAX_MASK_PIXELS
        for exchange in dialogue.past:
            state = self.show(state, exchange.question)
            if not state.pictures:
                raise bad_request("the first question shows no picture: send one.", "messages")
            budget -= _check_pixels(exchange.segments, budget)
            state = self._answered(state, exchange)
        return state

    def show(self, state: SessionState, question: Question) -> SessionState:
        """Return the state when the pictures of a question are there.

        The last of them is looked at. One that was shown before is the same picture.

        Raises:
            ImageError: A picture is refused.
        """
        for source in question.pictures:
            state = _with_picture(state, self.sources.open(source))
        return state

    def _answered(self, state: SessionState, exchange: Exchange) -> SessionState:
        last = state.last_turn(state.picture)
        before = Conversation() if last is None else last.conversation
        text = escape_control_tokens(exchange.answer, self.control_tokens)
        asked = before.ask(exchange.question.text, image_index=None if before.messages else 0)
        segments = tuple(_segment(body, state) for body in exchange.segments)
        named = tuple(one for one in segments if one.name)
        names = [one.name for one in (*state.segments, *named)]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise bad_request(f"two segments are called {twice}: send each once.", "messages")
        turn = Turn(
            exchange.question.text,
            state.picture,
            (Answered(text, segments),),
            Answered(text, segments),
            (),
            asked.answer(text),
            named,
        )
        ordered = sorted((*state.segments, *named), key=lambda one: int(one.name[1:]))
        return replace(state, segments=tuple(ordered), turns=(*state.turns, turn))


def _with_picture(state: SessionState, image: Image.Image) -> SessionState:
    number = max((one.number for one in state.pictures), default=0) + 1
    shown = SessionPicture(number, image, f"picture {number}")
    for known in state.pictures:
        if known.digest == shown.digest:
            return replace(state, picture=known.number)
    return replace(state, pictures=(*state.pictures, shown), picture=number)


def _check_pixels(segments: Sequence[SegmentBody], budget: int) -> int:
    pixels = sum(
        one.mask.size[0] * one.mask.size[1]
        for one in segments
        if one.mask is not None and min(one.mask.size) > 0
    )
    if pixels > budget:
        raise bad_request(
            f"the masks have more than {MAX_MASK_PIXELS:,} pixels in all: leave some out.",
            "messages",
        )
    return pixels


def _segment(body: SegmentBody, state: SessionState) -> SessionSegment:
    """Return a segment that a client sent back.

    Raises:
        DataError: Its mask is malformed.
        Refusal: 400 if it does not fit its picture.
    """
    picture = next((one for one in state.pictures if one.number == body.picture), None)
    if picture is None:
        raise bad_request(
            f"the segment {body.name or '(absent)'} lies on picture {body.picture}, which the "
            "messages do not show: leave it out.",
            "messages",
        )
    size = [picture.image.height, picture.image.width]
    if bool(body.name) != (body.status == "found") or (body.name and body.mask is None):
        raise bad_request(
            f"the segment {body.name or '(without name)'} has the status {body.status}: found ones "
            "have a name and a mask, others no name.",
            "messages",
        )
    rle = {"size": size, "counts": [size[0] * size[1]]}
    if body.name and body.mask is not None:
        rle = body.mask.model_dump()
    if rle["size"] != size:
        raise bad_request(
            f"the mask of {body.name} is {rle['size']} (height, width), and picture "
            f"{body.picture} is {size}: leave it out.",
            "messages",
        )
    mask = decode_rle(rle)
    begin, end = body.text_span
    segment = Segment(mask, mask_to_box(mask), body.score, body.status, body.phrase, (begin, end))
    return SessionSegment(body.name, plain_words(body.what), body.picture, segment, body.origin)
