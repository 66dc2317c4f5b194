from __future__ import annotations

import json

import numpy as np
import pytest

from eval.nano import number_types
from eval.nano.number_types import WAYS, compare, main, mask_ious, to_row, worded_questions
from eval.nano.read_scenes import load_scenes
from eval.results import Answer, GivenSegment
from lisa.pipeline import LisaPipeline
from tests.tiny_nano import nano_model, nano_processor


def answer(*masks: np.ndarray, text: str = "It is [SEG].") -> Answer:
    return Answer(tuple(map(GivenSegment, masks)), text, len(masks))


def test_masks_are_compared_where_as_many_things_are_pointed_at() -> None:
    half, whole = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    half[:2] = True
    assert mask_ious(answer(half, whole), answer(whole, whole)) == [0.5, 1.0]
    assert mask_ious(answer(half), answer(half, whole)) == []


def test_answers_are_held_against_others_and_against_the_truth() -> None:
    asked = worded_questions(load_scenes()[:2], 2)
    assert len(asked) == 4
    right = [answer(picture.truth_of(question).mask) for picture, question in asked]
    found = compare(asked, right, right)
    assert (found.same_words, found.masks, found.mean_iou, found.below) == (4, 4, 1.0, 0)
    assert found.giou == 1.0
    empty = answer(np.zeros(asked[0][0].size, bool), text="Sorry.")
    found = compare(asked, [empty, *right[1:]], right)
    assert (found.same_words, found.least_iou, found.below) == (3, 0.0, 1)
    assert (found.mean_iou, found.giou) == (0.75, 0.75)
    assert to_row("a way", found) == "| a way | 3 of 4 | 0.7500 | 0.000 | 1 of 4 | 0.7500 |"


def test_every_way_is_asked_the_same(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    pipeline = LisaPipeline(nano_model(64), nano_processor(64))
    opened = []

    def open_model(*_: object, **options: object) -> LisaPipeline:
        opened.append(options)
        return pipeline

    monkeypatch.setattr(LisaPipeline, "from_pretrained", open_model)
    assert main(["--limit", "2", "--questions", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["float32", *WAYS]
    assert [one["same_words"] for one in found.values()] == [2] * len(found)
    assert opened == [{"device": "cpu", **way} for way in (number_types.PLAIN, *WAYS.values())]
    assert main(["--limit", "1"]) == 0
    assert "| all in bfloat16 | 4 of 4 |" in capsys.readouterr().out


def test_a_mistake_gets_one_sentence(capsys) -> None:
    assert main(["--device", "toaster"]) == 2
    assert "device 'toaster' is not known" in capsys.readouterr().err
