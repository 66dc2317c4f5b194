"""A session as a folder that reopens anywhere: session.json, and its pictures and masks as PNG.

Files of pictures and masks are called after what they show (picture_1_<digest>.png), so that a
newer save never changes a file that session.json still names: session.json is replaced last, in one
step, and at every moment the folder holds one whole session.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import ValidationError

from chat.safety.roots import AllowedRoots
from chat.state import SessionPicture, SessionSegment, SessionState, Turn
from chat.steps import Answered, Observed, SegmentAdded, Step
from chat.stored_session import (
    StoredMessage,
    StoredPicture,
    StoredSegment,
    StoredSession,
    StoredTurn,
    read_step,
    write_step,
)
from lisa.commands.output_files import make_folder, write_whole
from lisa.errors import ConfigError, DataError, ImageError
from lisa.images import open_image
from lisa.masks import mask_to_box
from lisa.types import Conversation, ImagePart, Message, Part, Segment, TextPart

SESSION_FILE = "session.json"
MAX_JSON_BYTES = 64_000_000
MAX_FILE_BYTES = 500_000_000
_OWN_FILE = re.compile(r"(?:picture|mask)_\d{1,6}_[0-9a-f]{16}\.png")


def save_session(state: SessionState, folder: str | Path) -> Path:
    """Write a session into a folder, in place of the session that it may hold.

    Args:
        state: All of it.
        folder: Is made if there is none; other files in it stay.

    Returns:
        The folder.

    Raises:
        ConfigError: It cannot be written to.
    """
    place = make_folder(str(folder))
    table = _SegmentTable(state)
    stored = StoredSession(
        picture=state.picture,
        pictures=[
            StoredPicture(number=one.number, name=one.name, file=_picture_file(one))
            for one in state.pictures
        ],
        segments=[table.store(one) for one in table.segments],
        named=table.indices(state.segments),
        turns=[_store_turn(turn, table) for turn in state.turns],
        pointed=list(state.pointed),
    )
    text = stored.model_dump_json(indent=1).encode()
    try:
        before = _named_files(place)
        for picture in state.pictures:
            _write_new(place / _picture_file(picture), picture.image)
        for segment in table.segments:
            name = _mask_file(segment)
            if name is not None:
                _write_new(place / name, Image.fromarray(segment.segment.mask).convert("1"))
        write_whole(place / SESSION_FILE, lambda file: file.write(text))
        for name in before - _files_of(stored):
            (place / name).unlink(missing_ok=True)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ConfigError(f"the session cannot be saved in {str(folder)!r}: {reason}.") from error
    return place


def load_session(folder: str | Path) -> SessionState:
    """Read a session that `save_session` wrote.

    Nothing outside the folder is read, whatever session.json says.

    Raises:
        ConfigError: There is no such folder.
        DataError: It holds no session, or one that is damaged or was changed by hand.
    """
    place = Path(folder).expanduser()
    files = AllowedRoots([place])
    stored = _parse(_read(files, SESSION_FILE, MAX_JSON_BYTES))
    try:
        pictures = tuple(_load_picture(files, one) for one in stored.pictures)
        shapes = {one.number: (one.image.height, one.image.width) for one in pictures}
        segments = [_load_segment(files, one, shapes) for one in stored.segments]
        state = SessionState(
            pictures,
            tuple(segments[i] for i in stored.named),
            tuple(_load_turn(turn, segments) for turn in stored.turns),
            stored.picture,
            tuple(stored.pointed),
        )
        _check(state)
    except (IndexError, KeyError) as error:
        raise _damaged("it names something that is not in it") from error
    return state


# --- Writing --------------------------------------------------------------------------------------


class _SegmentTable:
    """Every segment that a session speaks of, once; the rest of session.json counts them."""

    def __init__(self, state: SessionState) -> None:
        self.segments: list[SessionSegment] = []
        self._places: dict[int, int] = {}
        for segment in (*state.segments, *_segments_of(state.turns)):
            if id(segment) not in self._places:
                self._places[id(segment)] = len(self.segments)
                self.segments.append(segment)

    def indices(self, segments: Iterable[SessionSegment]) -> list[int]:
        """Return the places of segments."""
        return [self._places[id(segment)] for segment in segments]

    def store(self, segment: SessionSegment) -> StoredSegment:
        """Return a segment as session.json holds it."""
        drawn = segment.segment
        return StoredSegment(
            name=segment.name,
            what=segment.what,
            picture=segment.picture,
            origin=segment.origin,
            status=drawn.status,
            score=drawn.score,
            phrase=drawn.phrase,
            text_span=drawn.text_span,
            mask=_mask_file(segment),
        )


def _segments_of(turns: Iterable[Turn]) -> Iterator[SessionSegment]:
    for turn in turns:
        yield from (*turn.pointed, *turn.segments, *turn.learnt)
        for step in turn.steps:
            match step:
                case Observed() | Answered():
                    yield from step.segments
                case SegmentAdded():
                    yield step.segment


def _store_turn(turn: Turn, table: _SegmentTable) -> StoredTurn:
    return StoredTurn(
        question=turn.question,
        picture=turn.picture,
        steps=[write_step(step, table.indices) for step in turn.steps],
        pointed=table.indices(turn.pointed),
        conversation=[_store_message(message) for message in turn.conversation.messages],
        segments=table.indices(turn.segments),
        pictures=list(turn.pictures),
        told=sorted(turn.told),
        learnt=table.indices(turn.learnt),
    )


def _store_message(message: Message) -> StoredMessage:
    shows = any(isinstance(part, ImagePart) for part in message.parts)
    return StoredMessage(role=message.role, text=message.text, shows_picture=shows)


def _picture_file(picture: SessionPicture) -> str:
    return f"picture_{picture.number}_{picture.digest[:16]}.png"


def _mask_file(segment: SessionSegment) -> str | None:
    """Return the file of a mask; None if it has no pixels."""
    mask = segment.segment.mask
    if not mask.any():
        return None
    digest = sha256(repr(mask.shape).encode() + np.packbits(mask).tobytes()).hexdigest()
    return f"mask_{segment.name[1:] or 0}_{digest[:16]}.png"


def _write_new(path: Path, image: Image.Image) -> None:
    """Write a picture whose name says what it shows, unless it is there already."""
    if path.is_symlink() or not path.is_file():
        write_whole(path, partial(image.save, format="PNG"))


def _named_files(folder: Path) -> set[str]:
    """Return the files that the session in a folder consists of; none if there is no session."""
    try:
        return _files_of(_parse(_read(AllowedRoots([folder]), SESSION_FILE, MAX_JSON_BYTES)))
    except DataError:
        return set()


def _files_of(stored: StoredSession) -> set[str]:
    names = {one.file for one in stored.pictures}
    return names | {one.mask for one in stored.segments if one.mask is not None}


# --- Reading --------------------------------------------------------------------------------------


def _read(files: AllowedRoots, name: str, max_bytes: int) -> bytes:
    try:
        return files.read(name, max_bytes)
    except ImageError as error:
        raise _damaged(f"its file {name[:80]!r} is missing, a link, or too large") from error


def _parse(text: bytes) -> StoredSession:
    try:
        stored = StoredSession.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or SESSION_FILE
        raise _damaged(f"{where}: {first['msg']}") from error
    for name in _files_of(stored):
        if not _OWN_FILE.fullmatch(name):
            raise _damaged(f"{name[:80]!r} is not the name of one of its files")
    return stored


def _load_picture(files: AllowedRoots, stored: StoredPicture) -> SessionPicture:
    picture = SessionPicture(stored.number, _open(files, stored.file), stored.name)
    if _picture_file(picture) != stored.file:
        raise _damaged(f"{stored.file} shows another picture than the one that was saved")
    return picture


def _load_segment(
    files: AllowedRoots, stored: StoredSegment, shapes: dict[int, tuple[int, int]]
) -> SessionSegment:
    mask = np.zeros(shapes[stored.picture], dtype=bool)
    if stored.mask is not None:
        mask = np.asarray(_open(files, stored.mask))[:, :, 0] > 127
        if mask.shape != shapes[stored.picture]:
            raise _damaged(f"{stored.mask} is not of the size of its picture")
    drawn = Segment(
        mask, mask_to_box(mask), stored.score, stored.status, stored.phrase, stored.text_span
    )
    segment = SessionSegment(stored.name, stored.what, stored.picture, drawn, stored.origin)
    if _mask_file(segment) != stored.mask or (stored.status == "found") != bool(mask.any()):
        raise _damaged(f"the mask of segment {stored.name!r} is not the one that was saved")
    return segment


def _open(files: AllowedRoots, name: str) -> Image.Image:
    try:
        return open_image(_read(files, name, MAX_FILE_BYTES), formats=("PNG",))
    except ImageError as error:
        raise _damaged(f"{name} is no picture that can be read") from error


def _load_turn(stored: StoredTurn, segments: list[SessionSegment]) -> Turn:
    def at(places: Iterable[int]) -> tuple[SessionSegment, ...]:
        return tuple(segments[place] for place in places)

    steps: tuple[Step, ...] = tuple(read_step(step, at) for step in stored.steps)
    answer = steps[-1]
    if not isinstance(answer, Answered):
        raise _damaged("a turn has no answer")
    return Turn(
        stored.question,
        stored.picture,
        steps,
        answer,
        at(stored.pointed),
        Conversation(tuple(_load_message(message) for message in stored.conversation)),
        at(stored.segments),
        tuple(stored.pictures),
        frozenset(stored.told),
        at(stored.learnt),
    )


def _load_message(stored: StoredMessage) -> Message:
    shown: tuple[Part, ...] = (ImagePart(0),) if stored.shows_picture else ()
    return Message(stored.role, (*shown, TextPart(stored.text)))


def _check(state: SessionState) -> None:
    """Refuse what no session can be, however its JSON came about."""
    numbers = [picture.number for picture in state.pictures]
    names = [segment.name for segment in state.segments]
    shown = {state.picture, *(turn.picture for turn in state.turns)}
    if numbers != sorted(set(numbers)) or not shown <= ({*numbers} or {0}):
        raise _damaged("the numbers of its pictures are wrong")
    if len(set(names)) != len(names) or not set(state.pointed) <= set(names) or "" in names:
        raise _damaged("the names of its segments are wrong")


def _damaged(reason: str) -> DataError:
    return DataError(
        f"the folder holds no session that can be opened ({reason}): give a folder that was saved "
        "by a session."
    )
