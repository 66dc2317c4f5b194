from __future__ import annotations

from pathlib import Path

import pytest

from lisa.errors import CheckpointError, ConfigError
from lisa.released.shards import Checkpoint
from lisa.tagging.checkpoint import TaggingFiles
from lisa.tagging.tags import (
    Tag,
    TagInfo,
    join_names,
    left_out_of_captions,
    read_lines,
    read_tags,
    with_threshold,
)

NAMES = ["ape", "bee", "cow"]


def files_in(folder: Path) -> TaggingFiles:
    return TaggingFiles(folder, Checkpoint(folder, ("weights.pth",), {}), None)


def test_lists_beside_the_weights(tmp_path: Path):
    (tmp_path / "ram_tag_list.txt").write_text("ape\nbee \ncow")
    (tmp_path / "ram_tag_list_threshold.txt").write_text("0.5\n0.25\n1.0\n")
    (tmp_path / "ram_tag_list_chinese.txt").write_text("猿 \n蜂\n牛\n", encoding="utf-8")
    tags = read_tags(files_in(tmp_path), "recognize-anything-plus", 3)
    assert tags[0] == TagInfo("ape", 0.5, None, "猿")
    assert [tag.name for tag in tags] == NAMES
    assert [tag.threshold for tag in tags] == [0.5, 0.25, 1.0]


def test_lists_that_are_given_come_first(tmp_path: Path):
    (tmp_path / "ram_tag_list.txt").write_text("wrong\n")
    (tmp_path / "other.txt").write_text("\n".join(NAMES))
    for names in (NAMES, tmp_path / "other.txt", str(tmp_path / "other.txt")):
        tags = read_tags(
            files_in(tmp_path), "recognize-anything", 3, tag_list=names, thresholds=0.4
        )
        assert tags == tuple(TagInfo(name, 0.4) for name in NAMES)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("recognize-anything", "ram_tag_list.txt"), ("tag2text", "tag2text_ori_tag_list.txt")],
)
def test_missing_lists_are_named(kind, name: str, tmp_path: Path):
    with pytest.raises(CheckpointError, match=f"names of the 3 tags are missing: .*{name}"):
        read_tags(files_in(tmp_path), kind, 3)


def test_missing_thresholds_are_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"thresholds of the 3 tags .*_threshold.txt"):
        read_tags(files_in(tmp_path), "recognize-anything", 3, tag_list=NAMES)


def test_lists_of_another_length(tmp_path: Path):
    with pytest.raises(ConfigError, match="tag list has 3 entries and the model knows 4 tags"):
        read_tags(files_in(tmp_path), "tag2text", 4, tag_list=NAMES)
    with pytest.raises(ConfigError, match="list of thresholds has 1 entries"):
        read_tags(files_in(tmp_path), "tag2text", 3, tag_list=NAMES, thresholds=[0.5])
    with pytest.raises(ConfigError, match="list of Chinese names has 2 entries"):
        read_tags(files_in(tmp_path), "tag2text", 3, tag_list=NAMES, chinese=["a", "b"])


def test_what_is_published_of_tag2text(tmp_path: Path):
    names = [f"tag {place}" for place in range(3429)]
    tags = read_tags(files_in(tmp_path), "tag2text", 3429, tag_list=names)
    assert [tags[place].category for place in (0, 3011, 3012, 3251, 3252, 3428)] == [
        *["object or scene"] * 2,
        *["action"] * 2,
        *["attribute"] * 2,
    ]
    others = {place: tag.threshold for place, tag in enumerate(tags) if tag.threshold != 0.68}
    assert others == {2701: 0.7, 2828: 0.7, 1167: 0.7}
    assert len(left_out_of_captions(3429)) == 7
    assert left_out_of_captions(6) == ()


@pytest.mark.parametrize("value", [-0.1, 1.5, "high", None, float("nan")])
def test_thresholds_that_cannot_be(value):
    with pytest.raises(ConfigError, match="is no number between 0 and 1"):
        with_threshold([0.5, value], 2)


def test_files_that_are_no_lists(tmp_path: Path):
    (tmp_path / "picture.txt").write_bytes(b"\xff\xfe\x00\x81")
    for name in ("picture.txt", "absent.txt"):
        with pytest.raises(CheckpointError, match="cannot be read as a list"):
            read_lines(tmp_path / name)


def test_one_line():
    tags = [Tag("ape", 0.9, 0.5), Tag("garden gate", 0.8, 0.5)]
    assert join_names(tags) == "ape | garden gate"
    assert join_names([]) == ""
