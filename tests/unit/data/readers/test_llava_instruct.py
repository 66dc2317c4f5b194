from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lisa.data.readers import open_reader
from lisa.data.readers.dialogues import conversation_about_picture
from lisa.data.readers.keys import number_repeats
from lisa.data.readers.llava_instruct import LlavaInstruct
from lisa.errors import ConfigError, DataError
from lisa.tokens import IMAGE_TOKEN, SEG_TOKEN
from lisa.types import ImagePart, Role
from tests.data_sets import llava_instruct

FILE = Path("llava_dataset") / "llava_instruct_150k.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    llava_instruct.write(tmp_path)
    return tmp_path


def test_every_item_becomes_one_dialogue(root: Path):
    reader = open_reader("llava_instruct", root)
    assert [r.key for r in reader] == ["000000000009", "000000000025", "000000000009/1"]
    for record, item in zip(reader, llava_instruct.ITEMS, strict=True):
        assert isinstance(record.image, Path)
        Image.open(record.image).verify()
        assert not record.targets
        (dialogue,) = record.dialogues
        assert dialogue.segments == ()
        messages = dialogue.conversation.messages
        assert len(messages) == len(item["conversations"])
        for message, turn in zip(messages, item["conversations"], strict=True):
            assert message.role == {"human": "user", "gpt": "assistant"}[turn["from"]]
            assert message.text == turn["value"].replace(IMAGE_TOKEN, "").strip()
            shown = IMAGE_TOKEN in turn["value"]
            assert [p for p in message.parts if isinstance(p, ImagePart)] == [ImagePart(0)] * shown


def test_there_is_no_split_and_no_fourth_record(root: Path):
    with pytest.raises(ConfigError, match="LlavaInstruct has no split 'train': leave it out"):
        LlavaInstruct(root, "train")
    with pytest.raises(IndexError):
        LlavaInstruct(root)[3]


def turn(speaker: str, words: str) -> dict[str, str]:
    return {"from": speaker, "value": words}


ANSWER = turn("gpt", "Yes.")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("text", "must be an object"),
        ({"id": "7", "conversations": []}, "it has no 'image': take items without"),
        ({"id": "7", "image": "../../secret.jpg", "conversations": []}, "leaves the folder"),
        ({"id": "7", "image": "1.jpg"}, "'conversations' must be a list of turns, not None"),
        ({"id": "7", "image": "1.jpg", "conversations": []}, "the conversation has no messages"),
        ({"conversations": [turn("system", "Hi")]}, "turn 1 must have 'from'"),
        ({"conversations": [turn("human", "Hi"), {"from": "gpt"}]}, "turn 2 must have 'from'"),
        ({"conversations": [turn("human", "Hi")]}, "ends without an answer"),
        ({"conversations": [turn("human", IMAGE_TOKEN), ANSWER]}, "message 1 .user. is empty"),
        ({"conversations": [turn("human", "A"), turn("human", "B"), ANSWER]}, "must alternate"),
        ({"conversations": [turn("human", "A"), turn("gpt", SEG_TOKEN)]}, "no segments"),
        ({"conversations": [turn("human", "A"), turn("gpt", IMAGE_TOKEN)]}, "message 2"),
    ],
)
def test_damaged_items_are_named(root: Path, item: Any, message: str):
    if isinstance(item, dict) and "id" not in item:
        item = {"id": "7", "image": "1.jpg", **item}
    (root / FILE).write_text(json.dumps([*llava_instruct.ITEMS, item]), "utf-8")
    reader = LlavaInstruct(root)
    assert reader[2].dialogues
    key = "7" if isinstance(item, dict) else "item 3"
    with pytest.raises(DataError, match=rf"150k\.json', record '{key}': .*{message}"):
        reader[3]


def test_missing_and_wrong_files(root: Path):
    (root / FILE).write_text("{}", "utf-8")
    with pytest.raises(DataError, match="150k.json' must be a list of one or more"):
        LlavaInstruct(root)
    with pytest.raises(DataError, match="LLaVA-Instruct is not complete: .*150k.json, no .*2017"):
        LlavaInstruct(root / "elsewhere")


def shown(turns: list[tuple[Role, str]]) -> list[int]:
    messages = conversation_about_picture(turns).messages
    return [i for i, message in enumerate(messages) if ImagePart(0) in message.parts]


def test_the_picture_is_shown_once_where_it_is_asked_about():
    said: list[tuple[Role, str]] = [("user", "a"), ("assistant", "b"), ("user", "c")]
    assert shown(said) == [0]
    assert shown([*said[:2], ("user", f"c {IMAGE_TOKEN} {IMAGE_TOKEN}")]) == [2]
    assert shown([("user", f"{IMAGE_TOKEN} a"), said[1], ("user", f"{IMAGE_TOKEN} c")]) == [0]


def test_an_answer_to_nothing_is_left_out():
    said: list[tuple[Role, str]] = [("assistant", "Hello."), ("user", "a"), ("assistant", "b")]
    assert [m.text for m in conversation_about_picture(said).messages] == ["a", "b"]
    assert not conversation_about_picture([]).messages


@given(st.lists(st.sampled_from(["a", "b", "a/1", "a/2", "b/1/1"])))
def test_repeated_names_become_unique_and_stay(names: list[str]):
    unique = number_repeats(names)
    assert len(set(unique)) == len(unique) == len(names)
    assert all(new.startswith(old) for new, old in zip(unique, names, strict=True))
    assert number_repeats(names[:3]) == unique[:3]
    assert number_repeats(dict.fromkeys(names)) == list(dict.fromkeys(names))
