"""`eval.speed eval` measures what it says; how long it takes is no matter here."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest
import torch

from eval.prediction_log import PredictionLog
from eval.runner import run
from eval.speed import BENCHMARK_GROUP
from eval.timings import evaluation
from eval.timings.random_pipelines import random_pipeline
from tests.encoder_calls import encoder_calls
from tests.unit.eval.timings.sizes import TINY


def test_both_ways_ask_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = evaluation.asked_pictures()
    assert len(pictures) == evaluation.PICTURES
    assert all(len(picture.questions) == 4 for picture in pictures)
    pipeline = random_pipeline(torch.device("cpu"), TINY)
    tower = encoder_calls(pipeline.model.backbone.base_model.vision_tower)
    sam = encoder_calls(pipeline.model.segmenter.image_encoder)
    judged = []
    judge = evaluation.judge
    monkeypatch.setattr(
        evaluation, "judge", lambda *args: judged.append(judge(*args)) or judged[-1]
    )
    evaluation._one_by_one(pipeline, pictures)
    assert tower == sam == [1] * 16
    tower.clear()
    sam.clear()
    log = PredictionLog(None, {})
    found = run(pipeline, pictures, log, evaluation.SETTINGS, name="test", show=False).results
    assert (sum(tower), sum(sam)) == (4, 4)
    assert {one.new_tokens for one in (*found, *judged)} == {evaluation.NEW_TOKENS}
    assert {one.pointed for one in (*found, *judged)} == {1}
    assert [one.key for one in found] == [one.key for one in judged]
    assert [one.answer for one in found] == [one.answer for one in judged]


def test_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "PICTURES", 1)
    found = evaluation.compare(random_pipeline(torch.device("cpu"), TINY), rounds=1)
    assert found.median > 0 and found.ratio is not None and found.unit == "questions/s"
    (entry,) = [one for one in entry_points(group=BENCHMARK_GROUP) if one.name == "eval"]
    assert entry.load() is evaluation.measure
