"""LLaVA-Instruct-150K: conversations about pictures of COCO, without masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lisa.data.readers.contract import Reader, register_reader, require_files
from lisa.data.readers.dialogues import conversation_about_picture, refuse_problems
from lisa.data.readers.keys import number_repeats
from lisa.data.readers.paths import read_json, safe_join
from lisa.data.records import Dialogue, Record
from lisa.errors import DataError
from lisa.types import Role

_ROLES: dict[str, Role] = {"human": "user", "gpt": "assistant"}


@register_reader("llava_instruct")
class LlavaInstruct(Reader):
    r"""LLaVA-Instruct-150K as released, with the pictures of COCO 2017; it has no splits.

    `root` is the folder `dataset` of LISA's layout:

        llava_dataset/llava_instruct_150k.json
        coco/train2017/*.jpg

    One raw record:

        {"id": "000000000009", "image": "000000000009.jpg",
         "conversations": [{"from": "human", "value": "<image>\nWhat is on the plate?"},
                           {"from": "gpt", "value": "Bread and broccoli."},
                           {"from": "human", "value": "Is it warm?"},
                           {"from": "gpt", "value": "It looks freshly cooked."}]}

    It becomes a record with one dialogue of four messages and no segments; the first message shows
    the picture, and the placeholder is gone from its words. The file asks about most pictures two
    or three times under the same id, so each item is a record of its own: "000000000009",
    "000000000009/1" and so on. An item without a picture is damaged: there is none in this file,
    and LISA, which draws its items evenly, would stop at one; mixtures of later LLaVA releases have
    such items, and they must be taken out first.
    """

    task = "dialogue"

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.chosen_split(split)
        self._path = root / "llava_dataset" / "llava_instruct_150k.json"
        self._pictures = root / "coco" / "train2017"
        require_files("LLaVA-Instruct", self._path, self._pictures)
        items = read_json(self._path)
        if not isinstance(items, list) or not items:
            raise DataError(f"{str(self._path)!r} must be a list of one or more conversations.")
        self._items: list[Any] = items
        self._keys = number_repeats(_name(item, place) for place, item in enumerate(items))

    def __len__(self) -> int:
        """Return the number of conversations."""
        return len(self._items)

    def __getitem__(self, index: int) -> Record:
        """Read a conversation."""
        item, key = self._items[index], self._keys[index]
        place = f"{str(self._path)!r}, record {key!r}"
        try:
            if not isinstance(item, dict):
                raise DataError(f"it must be an object, not {item!r:.80}.")
            if "image" not in item:
                raise DataError("it has no 'image': take items without a picture out of the file.")
            image = safe_join(self._pictures, item["image"])
            turns = _read_turns(item.get("conversations"))
        except DataError as error:
            raise DataError(f"{place}: {error}") from error
        dialogue = Dialogue(conversation_about_picture(turns))
        return refuse_problems(Record(key, image, dialogues=(dialogue,)), place)


def _name(item: Any, place: int) -> str:
    name = item.get("id") if isinstance(item, dict) else None
    return str(name) if isinstance(name, str | int) and str(name).strip() else f"item {place}"


def _read_turns(raw: Any) -> list[tuple[Role, str]]:
    if not isinstance(raw, list):
        raise DataError(f"'conversations' must be a list of turns, not {raw!r:.80}.")
    turns: list[tuple[Role, str]] = []
    for number, turn in enumerate(raw, 1):
        role, words = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (0, 0)
        if not (isinstance(role, str) and role in _ROLES and isinstance(words, str)):
            raise DataError(
                f"turn {number} must have 'from' (human or gpt) and the text 'value', not "
                f"{turn!r:.80}."
            )
        turns.append((_ROLES[role], words))
    return turns
