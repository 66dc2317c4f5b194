"""A few questions of each group stand for all of them, and which wording a model is asked in."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from eval.benchmarks.lazy_pictures import LazyPictures
from eval.commands.limited import limited
from eval.commands.own_wording import choose_wording
from eval.loading import fault_at
from eval.nano.pictures import GROUPS
from eval.questions import Picture
from lisa.errors import ConfigError, DataError
from tests.unit.eval.fakes import make_pictures


def asked(pictures: object) -> list[str]:
    return [q.key for picture in pictures for q in picture.questions]  # type: ignore[attr-defined]


def test_every_group_keeps_as_many_spread_over_all(tmp_path: Path):
    pictures = make_pictures(tmp_path, 10)
    few = limited(pictures, 3)
    groups = Counter(q.group for picture in few for q in picture.questions)
    assert groups == dict.fromkeys(GROUPS, 3)
    assert [picture.path.stem for picture in few] == ["0", "3", "6"]
    assert asked(few) == asked(limited(pictures, 3))
    assert limited(pictures, None) is pictures
    assert asked(limited(pictures, 99)) == asked(pictures)
    assert few[0].largest_mask().any()  # baselines still know the objects


def test_damage_is_kept_so_that_it_is_told(tmp_path: Path):
    pictures = make_pictures(tmp_path, 4)

    def read(index: int) -> Picture:
        if index == 1:
            raise DataError("it is gone.")
        return pictures[index]

    lazy = LazyPictures(4, read, lambda index: f"line {index}")
    few = limited(lazy, 1)
    assert len(few) == 2
    with pytest.raises(DataError, match="it is gone"):
        few[1]
    assert str(fault_at(few, 1, DataError("it is gone."))) == "line 1: it is gone."


def test_a_model_is_asked_in_the_words_that_it_learnt(tmp_path: Path):
    assert choose_wording(None, "lisa-nano", None, True) == "nano"
    assert choose_wording("lisa", "lisa-nano", None, True) == "lisa"
    with pytest.raises(ConfigError, match="no wording 'x'"):
        choose_wording("x", "lisa-nano", None, True)
    assert choose_wording(None, str(tmp_path), None, True) == "lisa"
    config = {"segmenter_config": {"kind": "trunk_sam"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert choose_wording(None, str(tmp_path), None, True) == "nano"
    (tmp_path / "config.json").write_text(json.dumps({"segmenter_config": {"kind": "sam"}}))
    assert choose_wording(None, str(tmp_path), None, True) == "lisa"
