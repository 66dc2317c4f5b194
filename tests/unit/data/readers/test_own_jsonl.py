from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lisa.data.faults import DamagedRecord
from lisa.data.readers.own_jsonl import JsonLines
from lisa.data.readers.own_segments import read_segment
from lisa.data.readers.picture_size import picture_size
from lisa.data.records import Expression
from lisa.errors import ConfigError, DataError
from lisa.images import open_image
from lisa.types import ImagePart, ImageSize, TextPart
from tests.data_sets import own_jsonl
from tests.data_sets.own_jsonl import cup, dialogue, plate, write_lines
from tests.unit.odd_files import exif_rotated, file_bytes, photo

SIZE = ImageSize(40, 56)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    own_jsonl.write(tmp_path)
    return tmp_path


def record_of(root: Path, *records: Any) -> Any:
    write_lines(root / "one.jsonl", list(records))
    return JsonLines(root / "one.jsonl")[0]


def test_a_folder_has_a_file_a_split(root: Path):
    assert [record.key for record in JsonLines(root)] == ["line-1", "second", "line-3"]
    assert len(JsonLines(root, "validation")) == 1
    assert len(JsonLines(root / "validation.jsonl")) == 1
    with pytest.raises(ConfigError, match=r"no split 'valid'.*perhaps 'validation' is meant"):
        JsonLines(root, "valid")
    with pytest.raises(ConfigError, match="one file and has no split 'train'"):
        JsonLines(root / "train.jsonl", "train")


def test_conversations(root: Path):
    reader = JsonLines(root)
    record = reader[0]
    assert record.image == root / "pictures" / "1.jpg"
    assert record.size == SIZE
    assert record.targets == ()
    (talk,) = record.dialogues
    roles = [message.role for message in talk.conversation.messages]
    assert roles == ["user", "assistant", "user", "assistant"]
    question = TextPart("What could I drink from?")
    assert talk.conversation.messages[0].parts == (ImagePart(0), question)
    assert talk.conversation.messages[2].parts == (TextPart("And eat from?"),)
    masks = [segment.read() for segment in talk.segments]
    # Polygons are filled as COCO does, which takes the pixels on the outline too.
    assert np.array_equal(masks[0] & cup("1"), cup("1"))
    assert np.array_equal(masks[1], plate("1"))
    assert np.array_equal(masks[2], cup("1"))


def test_a_picture_is_shown_where_the_parts_say(root: Path):
    system, question, _ = JsonLines(root)[2].dialogues[0].conversation.messages
    assert system.role == "system"
    assert question.parts == (TextPart("How many cups?"), ImagePart(0))


def test_targets(root: Path):
    cups, flat, dog = JsonLines(root)[1].targets
    assert cups.expressions == (Expression("the cup"), Expression("the red cup"))
    assert np.array_equal(cups.mask.read(), cup("2"))
    assert flat.expressions == (Expression("Which thing is flat?", "sentence"),)
    assert flat.explanation == "A plate is flat."
    assert np.array_equal(flat.mask.read(), plate("2"))
    assert dog.is_absent
    assert not dog.mask.read().any()
    assert dog.mask.read().shape == own_jsonl.SIZES["2"]
    (red,) = JsonLines(root)[2].targets
    assert red.expressions[0].wording == "sentence"


def test_index_and_missing_files(root: Path):
    reader = JsonLines(root)
    with pytest.raises(IndexError):
        reader[3]
    with pytest.raises(DataError, match="not complete: there is no"):
        JsonLines(root / "none.jsonl")
    (root / "empty.jsonl").write_text("\n \n")
    with pytest.raises(DataError, match="has no records"):
        JsonLines(root / "empty.jsonl")


def test_damaged_lines_stay_records_with_their_line(root: Path):
    good = own_jsonl.lines()["validation"][0]
    text = "\N{BYTE ORDER MARK}\n"
    write_lines(root / "one.jsonl", [text, good, '{"image": ', good])
    reader = JsonLines(root / "one.jsonl")
    assert len(reader) == 3
    assert [reader[0].key, reader[2].key] == ["line-3", "line-5"]
    with pytest.raises(
        DamagedRecord, match=r"one\.jsonl:4: the line is no JSON at column"
    ) as caught:
        reader[1]
    again = copy.copy(caught.value)  # as it goes from a data loader's worker to the run
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)


def test_windows_files_and_other_encodings(root: Path):
    path = root / "one.jsonl"
    line = b'{"image": "pictures/1.jpg", "targets": [{"text": "caf\xc3\xa9", "segment": null}]}'
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n" + line.replace(b"\xc3\xa9", b"\xe9"))
    reader = JsonLines(path)
    assert reader[0].targets[0].expressions[0].text == "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    with pytest.raises(DataError, match=r"one\.jsonl:2: the line is no UTF-8"):
        reader[1]


def test_all_problems_of_a_line_at_once(root: Path):
    raw = {
        "image": "pictures/1.jpg",
        "mesages": [],
        "messages": dialogue("Where?", "There [SEG]."),
        "segments": [{"box": [1, 2, 3]}, {"circle": 3}],
        "targets": [{"text": "", "segment": {}}],
    }
    with pytest.raises(DamagedRecord, match=r"one.jsonl:1: .*\(5 more here") as caught:
        record_of(root, raw)
    found = "\n".join(caught.value.problems)
    assert "'mesages': perhaps 'messages' is meant" in found
    assert "segment 1: a box must be four numbers" in found
    assert "segment 2: there is no key 'circle'" in found
    assert "says [SEG] once, but there are 2" in found
    assert "target 1: a segment must be one of" in found
    assert "target 1: its text is empty" in found
    assert caught.value.partial is not None


@pytest.mark.parametrize("name", ["/etc/hostname", "../1.jpg", "pictures/../../1.jpg", "", 3, None])
def test_paths_stay_in_the_folder(root: Path, name: Any):
    with pytest.raises(DataError, match=r"leaves the folder|file name must be|there is no 'image'"):
        record_of(root, {"image": name, "targets": [{"text": "cup", "segment": None}]})


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ([], "a segment must be an object"),
        ({"box": [1, 2, 3, 4], "mask": "a.png"}, "has 2 of them"),
        ({"polygn": []}, "perhaps 'polygon' is meant"),
        ({"polygon": [1, 2, 3, 4, 5, 6]}, "a list of outlines"),
        ({"polygon": [[1, 2], [3, 4], [5, 6]]}, "this one has 2 numbers"),
        ({"polygon": [[1, 2, 3, 4, 5, "6"]]}, "plain numbers, not '6'"),
        ({"polygon": [[1, 2, 3, 4, 5, float("nan")]]}, "plain numbers, not nan"),
        ({"polygon": [[1, 2, 3, 4, 5, 10**400]]}, "plain numbers, not 1000"),
        ({"polygon": [[0.1, 0.1, 0.5, 0.1, 0.5, 0.9]]}, "not shares of the picture"),
        ({"box": [0.1, 0.1, 0.5, 0.9]}, "not shares of the picture"),
        ({"box": [30, 20, 10, 5]}, "not a width and a height"),
        ({"box": [10, 20, 80, 30]}, "leaves its picture of 40 x 56"),
        ({"rle": "abc"}, "run lengths must be an object"),
        ({"rle": {"size": [56, 40], "counts": "a"}}, r"write \[height, width\]"),
        ({"mask": "mask.jpg"}, "save masks as PNG"),
        ({"mask": "../mask.png"}, "leaves the folder"),
    ],
)
def test_malformed_segments(root: Path, raw: Any, sentence: str):
    with pytest.raises(DataError, match=sentence):
        read_segment(raw, SIZE, JsonLines(root)._find_file)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"messages": {}}, "'messages' must be a list"),
        ({"messages": ["hello"]}, "message 1: it must be"),
        ({"messages": [{"role": "usr", "content": "a"}]}, "perhaps 'user' is meant"),
        ({"messages": [{"role": ["user"], "content": "a"}]}, "'role' must be"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "'content' must be"),
        ({"messages": [{"role": "user", "text": "a"}]}, "no key 'text'"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "image"}]}]},
            "message 1 shows a picture again",
        ),
        ({"messages": []}, "the conversation has no messages"),
        ({"messages": dialogue("a")}, "ends without an answer"),
        ({"targets": [{"text": "cup"}]}, "there is no 'segment'"),
        ({"targets": [{"text": 3, "segment": None}]}, "'text' must be a text"),
        ({"targets": [{"text": [], "segment": None}]}, "no text stands for it"),
        ({"targets": [{"text": "a", "sentence": 1, "segment": None}]}, "true or false"),
        ({"targets": [{"text": "a", "explanation": "", "segment": None}]}, "'explanation' must"),
        ({"targets": ["cup"]}, "target 1: it must be"),
        ({"targets": []}, "nothing is said about the picture"),
        ({"id": 1.5, "messages": dialogue("a", "b")}, "'id' must be"),
        ({"messages": dialogue("a", "b"), "targets": 4}, "'targets' must be a list"),
        ({"messages": dialogue("<image> a", "b")}, "holds <image>: leave it out"),
        ({"messages": dialogue("a", "a <image>")}, "holds <image>: leave it out"),
        ({"targets": [{"text": "a", "explanation": "b [SEG]", "segment": None}]}, "its explan"),
    ],
)
def test_malformed_words(root: Path, changes: dict[str, Any], sentence: str):
    with pytest.raises(DataError, match=sentence):
        record_of(root, {"image": "pictures/1.jpg", **changes})


def test_a_record_must_be_an_object(root: Path):
    with pytest.raises(DataError, match="a record must be an object"):
        record_of(root, "[1, 2]")
    with pytest.raises(DataError, match="stands twice in one object"):
        record_of(root, '{"image": "a", "image": "b"}')


def test_a_mask_file_has_the_size_of_its_picture(root: Path):
    Image.new("L", (56, 41), 255).save(root / "masks" / "odd.png")
    for name, sentence in [("odd", "has 41 x 56 pixels"), ("none", "is not there")]:
        raw = {"text": "cup", "segment": {"mask": f"masks/{name}.png"}}
        record = record_of(root, {"image": "pictures/1.jpg", "targets": [raw]})
        with pytest.raises(DataError, match=sentence):
            record.targets[0].mask.read()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_those_of_upright_pictures(kind: str, orientation: int):
    data = exif_rotated(orientation, kind)
    opened = open_image(data)
    assert picture_size(data) == (opened.height, opened.width)


def test_sizes_cost_no_decoding():
    cut = file_bytes(photo(300, 200), "PNG")[:200]
    assert picture_size(cut) == (200, 300)
