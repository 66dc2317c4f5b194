"""Masks of other systems find their questions, and what is wrong with them is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eval.outside.coco_results import CocoResults
from eval.outside.judging import judge_given
from eval.outside.naming import picture_names, question_names
from eval.outside.own_file import (
    Answers,
    baseline_file,
    find_predictions,
    read_baselines,
    read_own,
    write_answers,
)
from eval.outside.png_folder import PngFolder
from eval.questions import Question, Truth
from eval.report.header import Header
from lisa.errors import ConfigError, DataError
from lisa.masks import encode_rle
from lisa.types import ImageSize

SIZE = ImageSize(8, 10)
HEADER = Header("own:cups", "masks", (), "made up", "generate", "theirs")


def square(left: int, right: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[2:6, left:right] = True
    return mask


@dataclass(frozen=True)
class Shown:
    """A picture with questions, each about a square of its own."""

    key: str
    file: Path | None
    questions: tuple[Question, ...]
    damaged: bool = False

    def open(self) -> Image.Image:
        return Image.new("RGB", SIZE[::-1])

    def truth_of(self, question: Question) -> Truth:
        if self.damaged:
            raise DataError("its mask is damaged.")
        place = question.target
        return Truth(SIZE, () if place is None else (square(place, place + 4),))


def pictures() -> list[Shown]:
    """One picture with one question, one with two of a group of pictures."""
    several = tuple(
        Question(f"own:cups/2/{n}", "cups", n, text="?", cohort=f"party/{n}") for n in (3, 5)
    )
    one = Question("own:cups/1", "cups", 2, text="Where?")
    file = Path("images/COCO_train2014_000000000042.jpg")
    return [Shown("first", file, (one,)), Shown("second", Path("b.jpg"), several)]


def judged(masks: CocoResults | PngFolder, shown: Sequence[Any] | None = None) -> Answers:
    return judge_given(masks, shown or pictures(), HEADER, show=False)


def coco(path: Path, *records: dict[str, Any], threshold: float = 0.0) -> CocoResults:
    (path / "results.json").write_text(json.dumps(records))
    return CocoResults(path / "results.json", threshold)


def record(mask: np.ndarray, **names: Any) -> dict[str, Any]:
    return {"segmentation": encode_rle(mask), "score": 0.9, **names}


@pytest.mark.parametrize(
    "name",
    [{"image_id": 42}, {"image_id": "first"}, {"image_id": "COCO_train2014_000000000042.jpg"},
     {"question": "own:cups/1"}, {"question": "own-cups-1", "image_id": 7}],
)  # fmt: skip
def test_records_find_their_question(name: dict[str, Any], tmp_path: Path):
    found = judged(coco(tmp_path, record(square(2, 4), **name), record(square(4, 6), **name)))
    right, *others = found.results
    assert (right.counts.iou, right.pointed) == (1, 2)
    assert [one.pointed for one in others] == [0, 0]
    assert found.unanswered == ("own:cups/2/3", "own:cups/2/5")


def test_the_category_says_which_of_several_questions(tmp_path: Path):
    given = [record(square(n, n + 4), image_id="b.jpg", category_id=n) for n in (3, 5)]
    assert [one.counts.iou for one in judged(coco(tmp_path, *given)).results] == [0, 1, 1]


def test_polygons_and_thresholds(tmp_path: Path):
    polygon = {"image_id": 42, "segmentation": [[2, 2, 6, 2, 6, 6, 2, 6]], "score": 0.4}
    assert judged(coco(tmp_path, polygon)).results[0].counts.iou == 1
    assert judged(coco(tmp_path, polygon, threshold=0.5)).results[0].pointed == 0


BOMB = {"size": [60_000, 60_000], "counts": "a"}


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ({"image_id": 42}, "must be a list of records"),
        ([{"image_id": 42, "score": 1}], "record 0 of .* needs a 'segmentation'"),
        ([{"segmentation": {}}], "needs an 'image_id' or a 'question'"),
        ([{"image_id": 42, "score": float("nan")}], "score nan: it must be finite"),
        ([{"image_id": 42, "score": "high"}], "score 'high', not a number"),
        ([{"image_id": 42, "segmentation": BOMB}], "above the limit"),
        ([record(np.zeros((9, 9), bool), image_id=42)], r"9 x 9 pixels .*, the picture 8 x 10"),
        ([record(square(1, 2), image_id=43)], "record 0 of .* belongs to no question of own:cups"),
        ([{"image_id": 42, "segmentation": {"size": [8, 10], "counts": "\x00"}}], "record 0"),
    ],
)
def test_what_is_wrong_with_a_results_file_is_told(records: Any, message: str, tmp_path: Path):
    (tmp_path / "results.json").write_text(json.dumps(records))
    with pytest.raises(DataError, match=message):
        judged(CocoResults(tmp_path / "results.json"))


def test_a_file_that_is_no_json(tmp_path: Path):
    (tmp_path / "results.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="cannot be read as JSON"):
        CocoResults(tmp_path / "results.json")


def test_a_record_that_may_answer_two_questions_is_refused(tmp_path: Path):
    shown = [
        replace(one, questions=(replace(one.questions[0], key=key, cohort=None),))
        for one, key in zip([pictures()[0]] * 2, ("x", "y"), strict=True)
    ]
    with pytest.raises(DataError, match="record 0 .* may answer x or y: give each record"):
        judged(coco(tmp_path, record(square(2, 6), image_id=42)), shown)
    second = pictures()[1]
    bare = replace(second, questions=tuple(replace(q, cohort=None) for q in second.questions))
    masks = coco(tmp_path, record(square(2, 6), image_id="b"))
    with pytest.raises(DataError, match="may answer own:cups/2/3 or own:cups/2/5"):
        judged(masks, [bare])


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.mark.parametrize("name", ["own-cups-1", "own:cups/1", "first", "42",
                                  "COCO_train2014_000000000042"])  # fmt: skip
@pytest.mark.parametrize("white", [1, 255])
def test_files_find_their_question(name: str, white: int, tmp_path: Path):
    save(tmp_path / f"{name}.png", square(2, 6).astype(np.uint8) * white)
    found = judged(PngFolder(tmp_path))
    assert [one.counts.iou for one in found.results] == [1, 0, 0]
    assert len(found.unanswered) == 2


def test_grey_is_cut_in_the_middle(tmp_path: Path):
    grey = np.where(square(2, 6), 128, 127).astype(np.uint8)
    save(tmp_path / "first.png", np.stack([grey] * 3, axis=-1))
    assert judged(PngFolder(tmp_path)).results[0].counts.iou == 1


def test_what_is_wrong_with_a_folder_is_told(tmp_path: Path):
    with pytest.raises(DataError, match=r"has no \.png files"):
        PngFolder(tmp_path)
    # A picture with two questions: its own name does not say which.
    save(tmp_path / "second.png", square(3, 7))
    with pytest.raises(DataError, match="second.png belongs to no question of own:cups; 1 such"):
        judged(PngFolder(tmp_path))
    (tmp_path / "second.png").unlink()
    save(tmp_path / "first.png", np.zeros((3, 4), np.uint8))
    with pytest.raises(DataError, match="first.png' has 3 x 4 pixels .*, the picture 8 x 10"):
        judged(PngFolder(tmp_path))
    save(tmp_path / "first.png", np.full((*SIZE, 3), (9, 200, 9), np.uint8))
    with pytest.raises(DataError, match="first.png' is coloured"):
        judged(PngFolder(tmp_path))
    (tmp_path / "first.png").write_bytes(b"\x89PNG nonsense")
    with pytest.raises(DataError, match="cannot be read as a mask"):
        judged(PngFolder(tmp_path))


def test_damaged_pictures_are_named(tmp_path: Path):
    shown = [replace(pictures()[0], damaged=True), pictures()[1]]
    save(tmp_path / "own-cups-2-3.png", square(3, 7))
    found = judged(PngFolder(tmp_path), shown)
    assert [one.message for one in found.damaged] == ["its mask is damaged."]
    assert [one.counts.iou for one in found.results] == [1, 0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 2**80 - 1)), min_size=3, max_size=3))
def test_masks_come_back_from_both_forms(tmp_path_factory: pytest.TempPathFactory, bits: list):
    """Whatever was given, a folder and a results file say the same."""
    folder = tmp_path_factory.mktemp("forms")
    keys = [question.key for picture in pictures() for question in picture.questions]
    records = []
    for key, number in zip(keys, bits, strict=True):
        if number is not None:
            mask = np.array([number >> place & 1 for place in range(80)], bool).reshape(SIZE)
            save(folder / "masks" / f"{key.replace(':', '-').replace('/', '-')}.png", mask)
            records.append(record(mask, question=key))
    from_file = judged(coco(folder, *records))
    if not records:
        assert len(from_file.unanswered) == 3
        return
    from_folder = judged(PngFolder(folder / "masks"))
    assert [one.counts for one in from_file.results] == [one.counts for one in from_folder.results]
    assert from_file.unanswered == from_folder.unanswered


def test_names():
    picture = pictures()[0]
    assert question_names(picture.questions[0]) == ("own:cups/1", "own-cups-1")
    assert picture_names(picture)[-1] == "42"
    assert picture_names(replace(picture, file=None)) == ("first",)


def test_own_files(tmp_path: Path):
    masks = coco(tmp_path, record(square(2, 6), image_id=42))
    answers = judged(masks)
    run = tmp_path / "runs" / "one"
    write_answers(run / "predictions.jsonl", HEADER, answers.results)
    assert find_predictions(run) == run / "predictions.jsonl"
    again = read_own(run / "predictions.jsonl")
    assert again.results == answers.results
    assert again.header == HEADER
    largest = replace(HEADER, system="largest object")
    write_answers(run / baseline_file("largest object"), largest, answers.results)
    part = replace(answers, results=answers.results[:1])
    assert read_baselines(run, part) == {"largest object": answers.results[:1]}
    with pytest.raises(ConfigError, match="holds several runs: give one of them, such as .*one"):
        find_predictions(tmp_path / "runs")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="There is no .*predictions.jsonl"):
        find_predictions(tmp_path / "empty")
    write_answers(tmp_path / "none.jsonl", HEADER, [])
    with pytest.raises(DataError, match="holds no answers yet"):
        read_own(tmp_path / "none.jsonl")


def test_scores_in_a_file_are_not_believed(tmp_path: Path):
    """Counts are worked out anew from the masks."""
    (one, *_) = judged(coco(tmp_path, record(square(2, 6), image_id=42))).results
    liar = replace(one, counts=replace(one.counts, intersection=1), predicted_pixels=3)
    write_answers(tmp_path / "liar.jsonl", HEADER, [liar])
    assert read_own(tmp_path / "liar.jsonl").results == (one,)
