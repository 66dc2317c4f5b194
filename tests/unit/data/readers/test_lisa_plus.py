from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lisa.data.readers import Reader, open_reader
from lisa.data.readers.lisa_plus import LisaPlusConversations, LisaPlusCot, LisaPlusInstances
from lisa.data.readers.lisa_plus_marks import plain, point
from lisa.data.records import Record
from lisa.errors import DataError
from lisa.tokens import SEG_TOKEN as SEG
from lisa.types import ImagePart
from tests.data_sets import lisa_plus

MEAL, STATION = lisa_plus.SIZES
FOLDERS = {
    "lisa_plus_instances": "LISA_Plus_Instance_Seg",
    "lisa_plus_cot": "LISA_Plus_COT",
    "lisa_plus_captions": "LISA_Plus_Caption",
    "lisa_plus_conversations": "LISA_Plus_Conversations",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lisa_plus.write(tmp_path)
    return tmp_path


def said(record: Record) -> list[str]:
    (dialogue,) = record.dialogues
    return [message.text for message in dialogue.conversation.messages]


@pytest.mark.parametrize("name", FOLDERS)
def test_every_mark_has_its_mask(root: Path, name: str):
    reader = open_reader(name, root)
    assert [record.key for record in reader] == [MEAL, STATION]
    for record in reader:
        assert record.size == lisa_plus.SIZES[record.key]
        assert not record.targets
        (dialogue,) = record.dialogues
        answers = "".join(said(record)[1::2])
        assert answers.count(SEG) == len(dialogue.segments)
        assert dialogue.conversation.messages[0].parts[0] == ImagePart(0)
        # Every fixture points at its first instance, and at the second if there are two marks.
        instances = list(lisa_plus.BOXES[record.key])[: len(dialogue.segments)]
        assert instances
        for segment, instance in zip(dialogue.segments, instances, strict=True):
            assert np.array_equal(segment.read(), lisa_plus.mask(record.key, instance))
    with pytest.raises(IndexError):
        reader[2]


@pytest.mark.parametrize(
    ("name", "picture", "expected"),
    [
        ("lisa_plus_instances", 0, f"broccoli {SEG}, orange {SEG}."),
        ("lisa_plus_cot", 0, f"Green vegetables are healthy, so it is the broccoli {SEG}."),
        ("lisa_plus_cot", 1, f"The luggage needs two people {SEG} {SEG} to carry it."),
        ("lisa_plus_captions", 0, f"Broccoli {SEG} lies beside an orange {SEG}."),
        ("lisa_plus_captions", 1, f"Two people {SEG} {SEG} stand side by side."),
        ("lisa_plus_conversations", 0, f"Broccoli {SEG} and an orange {SEG}."),
        ("lisa_plus_conversations", 1, f"Two people: {SEG}, {SEG}."),
    ],
)
def test_answers(root: Path, name: str, picture: int, expected: str):
    assert said(open_reader(name, root)[picture])[1] == expected


def test_conversations_keep_their_turns(root: Path):
    texts = said(LisaPlusConversations(root)[0])
    assert len(texts) == 4
    assert texts[2:] == ["Is orange sour?", "It may be."]


@pytest.mark.parametrize(
    ("text", "pointed", "instances", "named"),
    [
        ("no marks", "no marks", "", "no marks"),
        ("a《1|cat》b", f"a {SEG}b", "1", "acatb"),
        ("a < 2 | dog > b", f"a {SEG} b", "2", "a dog b"),
        ("《1|cat》, <2|dog>", f"{SEG}, {SEG}", "12", "cat, dog"),
        ("all [<2|x>, 《1|y》] and <2|x>", f"all {SEG}, {SEG} and {SEG}", "212", "all x, y and x"),
        ("[pizza <1>, pizza <2>]", f"pizza {SEG}, pizza {SEG}", "12", "pizza , pizza"),
        ("the man 《9|man》 and 《1|cat》.", f"the man and {SEG}.", "1", "the man man and cat."),
        ("[<8|x>, <1|y>, <9|z>]!", f"{SEG}!", "1", "x, y, z!"),
        ("a <3 heart> [of gold] <2>", "a <3 heart> [of gold] <2>", "", None),
        ("(《1|cat》)", f"({SEG})", "1", "(cat)"),
    ],
)
def test_marks(text: str, pointed: str, instances: str, named: str | None):
    assert point(text, {"1", "2"}) == (pointed, tuple(instances))
    if named is not None and "pizza" not in text:
        assert plain(text) == named


def rewrite(root: Path, name: str, **fields: Any) -> Reader:
    path = root / "lisa_plus" / FOLDERS[name] / "data.json"
    records = json.loads(path.read_text("utf-8"))
    records[1] |= fields
    path.write_text(json.dumps(records), "utf-8")
    return open_reader(name, root)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("lisa_plus_instances", {"ID": []}, "'ID' must be a list of one or more instances"),
        ("lisa_plus_instances", {"ID": ["5"]}, "'points' has no instance '5'"),
        ("lisa_plus_instances", {"points": []}, "'points' must be an object of regions"),
        ("lisa_plus_instances", {"English Question": ""}, "'English Question' must be a text"),
        ("lisa_plus_cot", {"image_path": "../x.jpg"}, "leaves the folder"),
        ("lisa_plus_cot", {"image_path": "x.jpg"}, r"x\.jpg' is not there"),
        ("lisa_plus_cot", {"English Answer": 3}, "'English Answer' must be a text, not 3"),
        ("lisa_plus_cot", {"info": {"1": "x"}}, "instance '1' of 'info': a region must have"),
        ("lisa_plus_captions", {"English Answer": SEG}, "but there are no segments"),
        ("lisa_plus_conversations", {"output": "<person>: Hi."}, "ends without an answer"),
        ("lisa_plus_conversations", {"output": "nothing"}, "has no messages"),
    ],
)
def test_damaged_records_are_named(root: Path, name: str, fields: dict[str, Any], message: str):
    reader = rewrite(root, name, **fields)
    with pytest.raises(DataError, match=rf"{FOLDERS[name]}/data\.json', record '.*': .*{message}"):
        reader[1]
    assert reader[0].dialogues


def test_damaged_regions_are_named_when_they_are_read(root: Path):
    far = [[[1, 1], [900, 1], [5, 5]]]
    points = {"2110": {"label name": "person", "points": far}}
    reader = rewrite(root, "lisa_plus_instances", ID=["2110"], points=points)
    with pytest.raises(DataError, match=r"data\.json', record '\d+25', instance 2110: .*far"):
        reader[1].dialogues[0].segments[0].read()
    points["2110"]["points"] = [[[1, 1], [9, 1]]]
    with pytest.raises(DataError, match="'points' has no instance '2110'"):
        rewrite(root, "lisa_plus_instances", points=points)[1]


def test_speakers_in_a_row_are_one_turn(root: Path):
    output = "Intro. <robot>: <2110|person> <person>: A <person>: B <robot>: C <robot>: D<2111|x>"
    (record, *_) = reversed(list(rewrite(root, "lisa_plus_conversations", output=output)))
    assert said(record) == ["A\nB", f"C\nD {SEG}"]
    assert len(record.dialogues[0].segments) == 1


def test_missing_and_wrong_files(root: Path):
    path = root / "lisa_plus" / "LISA_Plus_COT" / "data.json"
    path.write_text("[]", "utf-8")
    with pytest.raises(DataError, match="data.json' must be a list of one or more records"):
        LisaPlusCot(root)
    with pytest.raises(DataError, match="LISA[+][+] is not complete: .*Instance_Seg/data.json"):
        LisaPlusInstances(root / "elsewhere")
