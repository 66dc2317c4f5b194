"""`python -m eval.nano`: what it prints, and what it keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.nano.command import main
from eval.nano.pictures import GROUPS, Picture
from eval.nano.read_photographs import load_photographs
from eval.nano.read_scenes import load_scenes
from eval.prediction_log import PredictionLog
from lisa.errors import DataError
from lisa.pipeline import LisaPipeline
from tests.tiny import tiny_model, tiny_processor
from tests.unit.eval.fakes import OraclePipeline, SilentPipeline, make_pictures

BASELINES = {"largest", "untrained"}


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Picture, ...]:
    return make_pictures(tmp_path)


def _run(
    pipeline: Any, pictures: tuple[Picture, ...], capsys: pytest.CaptureFixture[str], *argv: str
) -> dict[str, Any]:
    code = main(
        [*argv, "--json"],
        load=lambda _: pipeline,
        load_untrained=lambda _: SilentPipeline(),
        pictures=pictures,
    )
    assert code == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_json_has_exactly_the_promised_form(
    pictures: tuple[Picture, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    report = _run(OraclePipeline(pictures), pictures, capsys)
    assert list(report) == [*GROUPS, "baselines"]
    assert set(report["baselines"]) == BASELINES
    for summary in (report, *report["baselines"].values()):
        for group in GROUPS:
            assert {"giou", "ciou", "n"} <= set(summary[group])
            assert summary[group]["n"] == len(pictures)
            assert 0 <= summary[group]["giou"] <= 1
            assert 0 <= summary[group]["ciou"] <= 1
    assert report["click"]["held_out_cutouts"] == {"giou": 1.0, "ciou": 1.0, "n": len(pictures)}
    assert "held_out_cutouts" not in report["box"]


def test_right_answers_score_one_everywhere(
    pictures: tuple[Picture, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    report = _run(OraclePipeline(pictures), pictures, capsys)
    assert all(report[group]["giou"] == report[group]["ciou"] == 1 for group in GROUPS)


def test_right_answers_to_the_repository_s_own_questions_score_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = (*load_scenes(), *load_photographs())
    report = _run(OraclePipeline(own), own, capsys, "--limit", "40")
    for group in GROUPS:
        assert report[group]["giou"] == report[group]["ciou"] == 1
        assert report[group]["n"] == report["baselines"]["largest"][group]["n"] == 40
        assert group == "absent" or report["baselines"]["largest"][group]["giou"] > 0.1
    assert {"naming", "reasoning"} <= set(report["photographs"])


def test_the_real_pipeline_can_be_asked(
    pictures: tuple[Picture, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = LisaPipeline(tiny_model(), tiny_processor())
    report = _run(pipeline, pictures, capsys)
    assert all(0 <= report[group]["giou"] <= 1 for group in GROUPS)


def test_silence_is_right_about_absent_objects_only(
    pictures: tuple[Picture, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    report = _run(SilentPipeline(), pictures, capsys)
    for summary in (report, report["baselines"]["untrained"]):
        for group in GROUPS:
            expected = 1 if group == "absent" else 0
            assert summary[group]["giou"] == summary[group]["ciou"] == expected


def test_the_largest_object_is_always_wrong_here(
    pictures: tuple[Picture, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    largest = _run(SilentPipeline(), pictures, capsys)["baselines"]["largest"]
    assert all(largest[group]["giou"] == 0 for group in GROUPS)


def test_only_and_limit_choose_questions(
    pictures: tuple[Picture, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    oracle = OraclePipeline(pictures)
    report = _run(oracle, pictures, capsys, "--only", "box,naming", "--limit", "2")
    assert list(report) == ["naming", "box", "baselines"]
    assert report["naming"]["n"] == report["baselines"]["largest"]["box"]["n"] == 2
    assert oracle.asked == 4
    few = _run(oracle, pictures, capsys, "--only", "box", "--untrained-limit", "1")
    assert few["baselines"]["untrained"]["box"]["n"] == 1
    assert few["box"]["n"] == len(pictures)


def test_an_interrupted_run_is_resumed_without_asking_twice(
    pictures: tuple[Picture, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        _run(OraclePipeline(pictures, patience=10), pictures, capsys, "--out", out)
    log = tmp_path / "out" / "predictions.jsonl"
    with log.open("a", encoding="utf-8") as file:
        file.write('{"system": "model", "ke')  # as a killed process may leave it
    second = OraclePipeline(pictures)
    report = _run(second, pictures, capsys, "--out", out, "--resume")
    # The answers about a picture are kept together: of the second one none.
    assert second.asked == (len(pictures) - 1) * 8
    assert report == _run(OraclePipeline(pictures), pictures, capsys)
    again = OraclePipeline(pictures, patience=0)
    assert _run(again, pictures, capsys, "--out", out, "--resume") == report


def test_out_keeps_scores_and_the_worst_answers(
    pictures: tuple[Picture, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = _run(SilentPipeline(), pictures, capsys, "--out", str(out))
    assert json.loads((out / "scores.json").read_text()) == report
    assert "| naming |" in (out / "scores.md").read_text()
    worst = sorted(path.name for path in (out / "worst").iterdir())
    assert len(worst) == len(pictures) * (len(GROUPS) - 1)
    assert not any(name.startswith("absent") for name in worst)


def test_table_has_a_row_per_group(
    pictures: tuple[Picture, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    silent = SilentPipeline()
    assert main([], load=lambda _: silent, load_untrained=lambda _: silent, pictures=pictures) == 0
    lines = capsys.readouterr().out.splitlines()
    columns = {line.count("|") for line in lines}
    assert columns == {11}
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == [
        *GROUPS[:7],
        "click, held out cutouts",
        "box",
    ]


@pytest.mark.parametrize(
    "argv", [["--only", "nothing"], ["--limit", "0"], ["--limit", "many"], ["--resume"]]
)
def test_wrong_options_end_with_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv, pictures=())
    assert ended.value.code == 2


def test_resuming_nothing_is_one_sentence(
    pictures: tuple[Picture, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    argv = ["--out", str(tmp_path / "none"), "--resume"]
    assert main(argv, load=lambda _: SilentPipeline(), pictures=pictures) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_log_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    PredictionLog(path, {"model": "a"}).close()
    with pytest.raises(DataError, match="another model"):
        PredictionLog(path, {"model": "b"}, resume=True)
