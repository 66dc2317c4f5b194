"""A record as people write it by hand, out of JSON or a `datasets` row, with all of its faults.

`own_jsonl.py` documents the format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lisa.data.faults import DamagedRecord
from lisa.data.known_keys import suggest, unknown_keys
from lisa.data.mask_sources import MaskSource, NoMask
from lisa.data.readers.own_segments import FindFile, read_segment
from lisa.data.readers.picture_size import picture_size
from lisa.data.record_problems import record_problems
from lisa.data.records import Dialogue, Expression, Record, Target, Wording
from lisa.errors import DataError
from lisa.types import Conversation, ImagePart, ImageSize, Message, Part, Role, TextPart

RECORD_KEYS = ("id", "image", "messages", "segments", "targets", "info")
MESSAGE_KEYS = ("role", "content")
TARGET_KEYS = ("text", "sentence", "segment", "explanation")
_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}


def build_record(raw: Any, key: str, place: str, find_file: FindFile) -> Record:
    """Build a record whose picture has been measured.

    Args:
        raw: One line of the format.
        key: Of the record if it has no `id`.
        place: Of the record, for messages.
        find_file: Finds its picture and its mask files.

    Raises:
        DamagedRecord: With everything that is wrong.
    """
    reading = _Reading(find_file)
    record = reading.record(raw, key)
    problems = reading.problems if record is None else [*reading.problems, *record_problems(record)]
    if problems or record is None:
        measured = record is not None and record.size is not None
        raise DamagedRecord(place, problems, record if measured else None)
    return record


def wording_of(text: str) -> Wording:
    """Guess from its last character whether a text is a whole sentence or the name of a thing."""
    return "sentence" if text.rstrip().endswith((".", "?", "!")) else "name"


class _Reading:
    """Reads one record and notes what is wrong with it instead of stopping.

    Where something is damaged, a stand-in takes its place: a record with problems is never used.
    """

    def __init__(self, find_file: FindFile) -> None:
        self.find_file = find_file
        self.problems: list[str] = []
        self.size: ImageSize | None = None

    def record(self, raw: Any, key: str) -> Record | None:
        if not isinstance(raw, dict):
            self.problems.append(f"a record must be an object {{...}}, not {raw!r:.40}.")
            return None
        self.problems += unknown_keys(raw, RECORD_KEYS)
        image = self.picture(raw.get("image"))
        targets = tuple(
            self.target(target, f"target {number}: ")
            for number, target in enumerate(self.list_of(raw, "targets"), 1)
        )
        dialogues: tuple[Dialogue, ...] = ()
        if "messages" in raw or "segments" in raw:
            dialogues = (self.dialogue(raw),)
        return Record(self.key(raw, key), image, self.size, targets, dialogues)

    def key(self, raw: dict[str, Any], default: str) -> str:
        name = raw.get("id", default)
        if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
            self.problems.append(f"'id' must be a text or a whole number, not {name!r:.40}.")
            return default
        return str(name)

    def picture(self, raw: Any) -> Path | bytes:
        try:
            if raw is None:
                raise DataError("there is no 'image': give the path of the picture.")
            image = self.find_file(raw)
            self.size = picture_size(image)
        except DataError as error:
            self.problems.append(str(error))
            return b""
        return image

    def list_of(self, raw: dict[str, Any], key: str) -> list[Any]:
        value = raw.get(key, [])
        if isinstance(value, list):
            return value
        self.problems.append(f"{key!r} must be a list [...], not {value!r:.40}.")
        return []

    def dialogue(self, raw: dict[str, Any]) -> Dialogue:
        messages: list[Message] = []
        is_shown = False
        for number, message in enumerate(self.list_of(raw, "messages"), 1):
            read = self.message(message, f"message {number}: ")
            pictures = sum(isinstance(part, ImagePart) for part in read.parts)
            if pictures > 1 - is_shown or (pictures and read.role != "user"):
                self.problems.append(
                    f"message {number} shows a picture again: a record has one picture, and one "
                    "message of the user shows it."
                )
            is_shown = is_shown or pictures > 0
            messages.append(read)
        if not is_shown:
            messages = _show_picture(messages)
        segments = tuple(
            self.segment(segment, f"segment {number}: ")
            for number, segment in enumerate(self.list_of(raw, "segments"), 1)
        )
        return Dialogue(Conversation(tuple(messages)), segments)

    def message(self, raw: Any, place: str) -> Message:
        if not isinstance(raw, dict):
            self.problems.append(
                f'{place}it must be {{"role": ..., "content": ...}}, not {raw!r:.40}.'
            )
            return Message("user", (TextPart("?"),))
        self.problems += [place + problem for problem in unknown_keys(raw, MESSAGE_KEYS)]
        role = raw.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            self.problems.append(
                f"{place}'role' must be user, assistant or system, not {role!r:.40}"
                + (f": {suggest(role, _ROLES)}." if isinstance(role, str) else ".")
            )
        return Message(_ROLES.get(str(role), "user"), self.content(raw.get("content"), place))

    def content(self, raw: Any, place: str) -> tuple[Part, ...]:
        if isinstance(raw, str):
            return (TextPart(raw.strip()),)
        parts: list[Part] = []
        for part in raw if isinstance(raw, list) else [None]:
            words = part.get("text") if isinstance(part, dict) else None
            kind = part.get("type") if isinstance(part, dict) else None
            if kind == "image":
                parts.append(ImagePart(0))
            elif kind == "text" and isinstance(words, str):
                parts.append(TextPart(words))
            else:
                self.problems.append(
                    f'{place}\'content\' must be a text, or a list of {{"type": "text", '
                    f'"text": ...}} and {{"type": "image"}}, not {raw!r:.60}.'
                )
                return (TextPart("?"),)
        return tuple(parts)

    def target(self, raw: Any, place: str) -> Target:
        if not isinstance(raw, dict):
            self.problems.append(
                f'{place}it must be {{"text": ..., "segment": ...}}, not {raw!r:.40}.'
            )
            return Target((Expression("?"),), NoMask(ImageSize(0, 0)))
        self.problems += [place + problem for problem in unknown_keys(raw, TARGET_KEYS)]
        if "segment" not in raw:
            self.problems.append(
                f"{place}there is no 'segment': give the region, or null if the thing is not in "
                "the picture."
            )
        explanation = raw.get("explanation")
        if explanation is not None and not (isinstance(explanation, str) and explanation.strip()):
            self.problems.append(f"{place}'explanation' must be a text, not {explanation!r:.40}.")
            explanation = None
        return Target(
            self.expressions(raw, place),
            self.segment(raw.get("segment"), place),
            explanation=None if explanation is None else explanation.strip(),
        )

    def expressions(self, raw: dict[str, Any], place: str) -> tuple[Expression, ...]:
        texts = raw.get("text")
        listed = texts if isinstance(texts, list) else [texts]
        said = [text for text in listed if isinstance(text, str)]
        if len(said) < len(listed):
            self.problems.append(
                f"{place}'text' must be a text or a list of them, not {texts!r:.40}."
            )
            return (Expression("?"),)
        sentence = raw.get("sentence")
        if sentence is not None and not isinstance(sentence, bool):
            self.problems.append(f"{place}'sentence' must be true or false, not {sentence!r:.40}.")
            sentence = None
        noted: Wording = "sentence" if sentence else "name"
        return tuple(
            Expression(text.strip(), wording_of(text) if sentence is None else noted)
            for text in said
        )

    def segment(self, raw: Any, place: str) -> MaskSource:
        try:
            return read_segment(raw, self.size, self.find_file)
        except DataError as error:
            self.problems.append(f"{place}{error}")
            return NoMask(self.size or ImageSize(0, 0))


def _show_picture(messages: list[Message]) -> list[Message]:
    first = next((n for n, message in enumerate(messages) if message.role == "user"), None)
    if first is None:
        return messages
    shown = Message("user", (ImagePart(0), *messages[first].parts))
    return [*messages[:first], shown, *messages[first + 1 :]]
