"""Asking about records: right answers score 1, damage is named, ignored pixels do not count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.answer_pictures import draw_answers
from eval.benchmarks.lazy_pictures import pictures_at
from eval.data_sets import DataSet, RecordPlace, choose_records
from eval.metrics import PixelCounts
from eval.prediction_log import PredictionLog
from eval.results import Result
from eval.runner import RunSettings
from eval.runner import run as run_questions
from eval.summary import mask_scores, pointing_scores, summarise
from lisa.data.readers.own_jsonl import JsonLines
from lisa.data.wordings import WORDINGS
from tests.data_sets import own_jsonl
from tests.unit.eval.fakes import OraclePipeline, SilentPipeline

NANO = WORDINGS["nano"]


@pytest.fixture
def places(tmp_path: Path) -> list[RecordPlace]:
    own_jsonl.write(tmp_path)
    readers = {split: JsonLines(tmp_path, split) for split in ("train", "validation")}
    return choose_records([DataSet(name, reader) for name, reader in readers.items()], 99)


def run(pipeline, places: list[RecordPlace]):
    return run_questions(
        pipeline,
        pictures_at(places, NANO),
        PredictionLog(None, {}),
        RunSettings(max_new_tokens=5),
        name="test",
        show=False,
    )


def test_right_answers_score_one(places: list[RecordPlace]):
    oracle = OraclePipeline(list(pictures_at(places, NANO)))
    found = run(oracle, places)
    assert len(found.results) == oracle.asked == 9
    assert not found.damaged
    summary = summarise(found.results, ["train", "validation"])
    assert summary["train"]["giou"] == summary["validation"]["ciou"] == 1
    assert summary["validation"]["absent"] == {"giou": 1, "ciou": 1, "n": 1}
    assert pointing_scores(found.results) == {"emission": 1, "false_positives": 0}


def test_silence_is_right_about_absent_things_only(places: list[RecordPlace]):
    found = run(SilentPipeline(), places)
    assert mask_scores(found.results)["giou"] == pytest.approx(2 / 9, abs=1e-6)
    assert pointing_scores(found.results) == {"emission": 0, "false_positives": 0}


def test_any_split_of_the_records_gives_the_same_scores(places: list[RecordPlace]):
    oracle = OraclePipeline(list(pictures_at(places[:2], NANO)))
    oracle._right = {key: np.roll(mask, 3, axis=1) for key, mask in oracle._right.items()}
    whole = run(oracle, places[:2]).results
    parts = [run(oracle, places[:2][n::2]).results for n in (1, 0)]
    joined = [result for part in parts for result in part]
    assert 0 < mask_scores(whole)["giou"] < 1
    assert mask_scores(joined) == mask_scores(whole)
    assert pointing_scores(joined) == pointing_scores(whole)


@pytest.mark.parametrize(
    ("damage", "place", "message"),
    [
        (lambda root: (root / "pictures" / "1.jpg").unlink(), "train.jsonl:1", "1.jpg"),
        (lambda root: (root / "masks" / "2.png").write_bytes(b"no"), "train.jsonl:2", "2.png"),
        (lambda root: shrink(root / "masks" / "2.png"), "train.jsonl:2", "has 5 x 5 pixels"),
        (lambda root: change_line(root, 2), "train.jsonl:3", "no key 'targetts'"),
    ],
)
def test_damaged_records_are_named_and_do_not_count(
    places: list[RecordPlace], tmp_path: Path, damage, place: str, message: str, capsys
):
    damage(tmp_path)
    reader = JsonLines(tmp_path, "train")
    places = choose_records([DataSet("own", reader)], 99)
    found = run(SilentPipeline(), places)
    assert len(found.damaged) == 1
    assert found.damaged[0].place.startswith("own, ")
    assert found.damaged[0].place.endswith(place)
    assert message in found.damaged[0].message
    assert str(found.damaged[0]) in capsys.readouterr().err
    number = int(place[-1])
    left = {1: {"second", "line-3"}, 2: {"line-1", "line-3"}, 3: {"line-1", "second"}}[number]
    assert {result.key.split("/")[1] for result in found.results} == left


def shrink(path: Path) -> None:
    Image.new("L", (5, 5), 255).save(path)


def change_line(root: Path, number: int) -> None:
    lines = (root / "train.jsonl").read_text().splitlines()
    lines[number] = json.dumps({**json.loads(lines[number]), "targetts": []})
    (root / "train.jsonl").write_text("\n".join(lines) + "\n")


def test_answers_are_drawn_beside_what_is_right(places: list[RecordPlace]):
    picture = pictures_at(places, NANO)[1]
    question = picture.questions[0]
    nothing = Result(
        question.key, "own", (), "7", PixelCounts(0, 9, 9), 0, answer="w" * 900 + " \N{HAMMER}"
    )
    grid = draw_answers([(picture, question, nothing)] * 3, columns=2)
    pixels = np.asarray(grid).astype(int)
    target = picture.truth_of(question).mask
    height, width = target.shape
    scale = 240 / max(height, width)
    row, column = (int((side.min() + side.max()) / 2 * scale) for side in np.nonzero(target))
    shown = round(width * scale)
    left = 8 + (3 * 240 + 8 - (3 * shown + 8)) // 2
    panels = [pixels[8 + row, left + n * (shown + 4) + column] for n in range(3)]
    assert panels[1][1] > panels[0][1] + 30  # green over the red cup
    assert panels[2].sum() < panels[0].sum() * 0.6  # darkened: not in the answer
    # Long words end with their cell.
    assert (pixels[:, 8 + 3 * 240 + 8 : 16 + 3 * 240 + 8] > 200).all()
