from __future__ import annotations

from pathlib import Path

import pytest

from lisa.errors import DataError
from training.tagging.caption_tags import CaptionTag
from training.tagging.records import (
    TaggedPicture,
    read_pictures,
    read_vocabulary,
    vocabulary_lines,
    write_lines,
)


def test_pictures(tmp_path: Path):
    lines = [
        {"image": "a.jpg", "captions": ["a dog"], "tags": ["dog"]},
        {"image": "b/c.jpg"},
    ]
    write_lines(tmp_path / "new" / "pictures.jsonl", lines)
    assert read_pictures(tmp_path / "new" / "pictures.jsonl") == (
        TaggedPicture(tmp_path / "new" / "a.jpg", ("a dog",), ("dog",)),
        TaggedPicture(tmp_path / "new" / "b" / "c.jpg", (), ()),
    )


def test_a_vocabulary(tmp_path: Path):
    counted = [
        (CaptionTag("dog", "object"), 5),
        (CaptionTag("orange", "attribute"), 3),
        (CaptionTag("orange", "object"), 2),
    ]
    write_lines(tmp_path / "list.jsonl", vocabulary_lines(counted))
    # A name with two categories has the more frequent one.
    expected = (("dog", "object"), ("orange", "attribute"))
    assert read_vocabulary(tmp_path / "list.jsonl") == expected
    write_lines(tmp_path / "list.jsonl", [{"name": "dog"}, {"name": "dog"}])
    with pytest.raises(DataError, match="has the tag 'dog' twice"):
        read_vocabulary(tmp_path / "list.jsonl")


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        "{}",
        '{"image": ""}',
        '{"image": 3}',
        '{"image": "a", "tags": "dog"}',
        '{"image": "a", "captions": [""]}',
    ],
)
def test_damaged_lines_are_named(tmp_path: Path, line: str):
    path = tmp_path / "pictures.jsonl"
    path.write_text('{"image": "a.jpg"}\n' + line + "\n")
    with pytest.raises(DataError, match=r"pictures.jsonl:2 is of another form"):
        read_pictures(path)


def test_files_that_hold_nothing(tmp_path: Path):
    with pytest.raises(DataError, match="cannot be read as text"):
        read_pictures(tmp_path / "absent.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="is empty"):
        read_pictures(tmp_path / "empty.jsonl")
