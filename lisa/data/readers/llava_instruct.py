"""LLaVA-Instruct-150K: conversations about pictures of COCO, without masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lisa.data.readers.contract import register_reader
from lisa.data.readers.dialogue_list import DialogueList, ReadItem
from lisa.errors import DataError
from lisa.types import Role

_ROLES: dict[str, Role] = {"human": "user", "gpt": "assistant"}


@register_reader("llava_instruct")
class LlavaInstruct(DialogueList):
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

    title = "LLaVA-Instruct"
    file = "llava_dataset/llava_instruct_150k.json"
    items = "conversations"

    def _name(self, item: Mapping[str, Any]) -> str | None:
        name = item.get("id")
        return str(name) if isinstance(name, str | int) and str(name).strip() else None

    def _read_item(self, item: Mapping[str, Any], place: str) -> ReadItem:
        if "image" not in item:
            raise DataError("it has no 'image': take items without a picture out of the file.")
        return ReadItem(self._picture(item["image"]), _read_turns(item.get("conversations")))


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
