"""The fixed scenes in the repository: small, unchanged, and in line with the knowledge table."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from eval.nano.cutout_licences import may_be_shown
from eval.nano.pictures import GROUPS, HELD_OUT_CUTOUTS, select_questions
from eval.nano.read_scenes import RECORDS, SCENES, load_scenes
from lisa.data.knowledge import load_knowledge
from lisa.errors import DataError
from lisa.masks import decode_rle, mask_to_box

MAX_BYTES = 8_000_000

knowledge = load_knowledge()
pictures = load_scenes()


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    lines = (SCENES / RECORDS).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_scenes_fit_their_budget() -> None:
    assert sum(path.stat().st_size for path in SCENES.rglob("*") if path.is_file()) <= MAX_BYTES


def test_there_are_400_scenes_with_every_group() -> None:
    assert len(pictures) == 400
    counts = Counter(question.group for picture in pictures for question in picture.questions)
    assert set(counts) == set(GROUPS) - {"photographs"}
    assert counts["naming"] >= 300
    assert 50 <= counts["unseen_objects"] <= 70
    for group in ("reasoning_seen", "reasoning_unseen", "absent", "click", "box"):
        assert counts[group] >= 300, group
    keys = [question.key for picture in pictures for question in picture.questions]
    assert len(set(keys)) == len(keys)


def test_pictures_are_the_recorded_ones() -> None:
    for picture in pictures:
        assert picture.open().size == (picture.size.width, picture.size.height)


def test_no_picture_is_left_over(records: list[dict[str, Any]]) -> None:
    files = {f"images/{path.name}" for path in (SCENES / "images").iterdir()}
    assert files == {record["image"] for record in records}


def test_masks_are_of_the_picture_and_do_not_overlap(records: list[dict[str, Any]]) -> None:
    for record in records:
        covered = np.zeros(record["size"], dtype=int)
        for item in record["objects"]:
            covered += decode_rle(item["mask"])
        assert covered.max() == 1


def test_clicks_and_boxes_fit_their_targets() -> None:
    for picture in pictures:
        for question in picture.questions:
            mask = picture.truth_of(question).mask
            if question.group == "click":
                assert question.point is not None
                x, y = question.point
                assert mask[int(y), int(x)]
            if question.group == "box":
                assert question.box == mask_to_box(mask)
            if question.group == "absent":
                assert not mask.any()
            else:
                assert mask.any()


def test_only_cutouts_of_one_licence_are_shown(records: list[dict[str, Any]]) -> None:
    shown = {item["cutout"] for record in records for item in record["objects"]}
    assert all(may_be_shown(cutout) for cutout in shown)
    attribution = (SCENES / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(f"| {cutout} |" in attribution for cutout in shown)
    assert "version 2" in (SCENES / "LICENSE.md").read_text(encoding="utf-8")
    assert (SCENES / "GPL-2.txt").is_file()


def test_questions_keep_to_the_splits_of_the_knowledge_table(records: list[dict[str, Any]]) -> None:
    facts = {fact.text: fact for item in knowledge.objects.values() for fact in item.facts}
    for record in records:
        for question in record["questions"]:
            group, target = question["group"], question["object"]
            if target is None:
                continue
            item = record["objects"][target]
            assert (item["name"] in knowledge.unseen_objects) == (group == "unseen_objects")
            assert question["held_out_cutout"] == (item["cutout"] in knowledge.held_out_stamps)
            if group.startswith("reasoning"):
                fact = facts[question["fact"]]
                assert fact.owner == item["name"]
                kept = knowledge.held_out_facts(item["name"])
                assert (fact in kept) == (group == "reasoning_unseen")


def test_every_question_has_one_right_answer(records: list[dict[str, Any]]) -> None:
    facts = {fact.text: fact for item in knowledge.objects.values() for fact in item.facts}
    for record in records:
        names = [item["name"] for item in record["objects"]]
        for question in record["questions"]:
            fact = facts.get(question.get("fact", ""))
            if fact is not None:
                satisfying = [i for i, name in enumerate(names) if knowledge.satisfies(name, fact)]
                assert satisfying == ([] if question["object"] is None else [question["object"]])
        assert len(set(names)) == len(names)
        texts = [question["text"] for question in record["questions"] if "text" in question]
        assert len(set(texts)) == len(texts)


def test_a_part_of_the_questions_is_about_held_out_cutouts() -> None:
    counts = Counter(
        q.group for p in pictures for q in p.questions if HELD_OUT_CUTOUTS in q.subsets
    )
    assert counts["naming"] >= 30
    assert not counts["unseen_objects"]


def test_limit_takes_the_first_questions_of_each_group() -> None:
    few = select_questions(pictures, ("click", "naming"), 7)
    counts = Counter(question.group for picture in few for question in picture.questions)
    assert counts == {"click": 7, "naming": 7}
    assert len(few) == 7


def test_damaged_records_are_one_sentence(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="is missing"):
        load_scenes(tmp_path)
    (tmp_path / RECORDS).write_text('{"id": "0000"}\n')
    with pytest.raises(DataError, match="another form"):
        load_scenes(tmp_path)
