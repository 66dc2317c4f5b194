"""`lisa eval` as a user has it: real command lines on data sets in their released formats."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.outside.naming import readable
from eval.outside.own_file import PREDICTIONS, read_own
from eval.prediction_log import PredictionLog
from lisa.cli import EXIT_INTERRUPTED, EXIT_USER_ERROR, main
from tests.data_sets import cosod, dataset_folder, own_jsonl, psg
from tests.tiny_run import write_model

ROOT = Path(__file__).resolve().parents[2]
FILES = ["predictions.jsonl", "report.html", "report.json", "report.md"]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LISA's folder of data sets, and a tiny model."""
    folder = tmp_path_factory.mktemp("ground")
    dataset_folder.write(folder / "dataset")
    write_model(folder)
    return folder


def words(ground: Path, *names: str, out: Path, protocol: str = "teacher-forced") -> list[str]:
    """A command line; teacher-forced, the tiny model gives masks and not only silence."""
    model = ["--model", str(ground / "model"), "--device", "cpu", "--max-new-tokens", "6"]
    return ["eval", *names, *model, "--protocol", protocol, "--out", str(out)]


def with_data(ground: Path) -> list[str]:
    return ["--data", str(ground / "dataset")]


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


def without_run(folder: Path) -> dict[str, Any]:
    """A report without what differs from run to run: seconds, memory, processes."""
    return {name: value for name, value in report(folder).items() if name != "run"}


def scores(folder: Path) -> Any:
    found = report(folder)
    return found["groups"], found["baselines"]


@pytest.fixture(scope="module")
def finished(ground: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over a group of questions with and without a right mask."""
    out = tmp_path_factory.mktemp("finished")
    assert main([*words(ground, "d3:full", out=out), *with_data(ground)]) == 0
    return out


@pytest.mark.parametrize("protocol", ["generate", "teacher-forced"])
def test_every_benchmark_of_masks_runs_to_its_report(ground: Path, tmp_path: Path, protocol: str):
    names = [*dataset_folder.MASKS, "nano:naming", "nano:click"]
    line = words(ground, *names, out=tmp_path, protocol=protocol)
    assert main([*line, *with_data(ground), "--limit", "2"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(readable, names))
    for name in names:
        folder = tmp_path / readable(name)
        assert set(FILES) <= {path.name for path in folder.iterdir()}
        found = report(folder)
        assert found["asked"]["benchmark"] == name
        assert found["asked"]["protocol"] == protocol.replace("-", "_")
        assert found["damaged"] == []
        (group,) = found["groups"].values()
        assert 0 < group["n"] <= 2
        assert set(group["figures"]) == {"masks", *found["asked"]["families"]}
        by_name = {one["name"]: one for one in group["figures"]["masks"]}
        assert by_name["gIoU"]["n"] == group["n"]
        if protocol == "teacher-forced":
            assert by_name["emission rate"]["value"] is None or name.startswith("nano:click")


def test_the_shorthand_for_own_data(ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    own_jsonl.write(tmp_path / "own")
    data = sorted((tmp_path / "own").glob("*.jsonl"))[0]
    assert main([*words(ground, str(data), out=tmp_path / "out"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == report(tmp_path / "out")
    assert printed["asked"]["source"].startswith("your own data")


def test_scoring_again_gives_the_same_report(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    assert main(["eval", "score", str(finished), "--out", str(tmp_path)]) == 0
    assert report(tmp_path) == report(finished)
    assert (tmp_path / "report.md").read_text() == (finished / "report.md").read_text()
    table = capsys.readouterr().out
    assert main(["eval", "score", str(finished / PREDICTIONS)]) == 0
    assert capsys.readouterr().out.splitlines()[:5] == table.splitlines()[:5]


def test_a_run_equals_itself(finished: Path, capsys: pytest.CaptureFixture):
    assert main(["eval", "compare", str(finished), str(finished)]) == 0
    text = capsys.readouterr().out
    assert "d3:full: no difference: all 5 answers have the same IoU." in text
    assert "changes" not in text
    assert main(["eval", "compare", str(finished), str(finished), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changes"] == found["only_first"] == found["only_second"] == []
    for differences in found["groups"]["d3:full"]["differences"].values():
        assert all(one["difference"] in (0, None) for one in differences)


def write_pngs(run: Path, folder: Path) -> Path:
    folder.mkdir()
    for result in read_own(run / PREDICTIONS).results:
        assert result.masks is not None
        if result.masks.segments:
            Image.fromarray(result.masks.given()).save(folder / f"{readable(result.key)}.png")
    return folder


def write_coco(run: Path, path: Path) -> Path:
    records = [
        {"question": result.key, "segmentation": segment.mask, "score": segment.score}
        for result in read_own(run / PREDICTIONS).results
        if result.masks is not None
        for segment in result.masks.segments
    ]
    path.write_text(json.dumps(records))
    return path


@pytest.mark.parametrize("form", ["png", "coco"])
def test_masks_of_another_system_score_alike(
    form: str, ground: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    if form == "png":
        given = write_pngs(finished, tmp_path / "masks")
    else:
        given = write_coco(finished, tmp_path / "results.json")
    out = tmp_path / "out"
    line = ["eval", "score", str(given), "--benchmark", "d3:full", *with_data(ground)]
    assert main([*line, "--out", str(out), "--system", "theirs"]) == 0
    ours, theirs = (scores(one)[0]["d3:full"] for one in (finished, out))
    families = ["masks", "groups", *(["instances"] if form == "coco" else [])]
    for family in families:
        for one, other in zip(ours["figures"][family], theirs["figures"][family], strict=True):
            # A mask that is there counts as pointing; told to point, a model is not asked for it.
            assert one == other or one["name"] == "emission rate"
    assert report(out)["asked"]["system"] == "theirs"
    assert (out / PREDICTIONS).is_file()
    capsys.readouterr()
    # Protocols are never mixed: the run was teacher-forced, what comes from outside is given.
    assert main(["eval", "compare", str(finished), str(out)]) == EXIT_USER_ERROR
    assert "A has the protocol teacher-forced and B generate" in capsys.readouterr().err


def test_predictions_that_are_no_masks(ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    cosod.write_maps(tmp_path / "maps")
    line = ["eval", "score", str(tmp_path / "maps"), "--benchmark", "cosod:coca"]
    assert main([*line, *with_data(ground), "--out", str(tmp_path / "cosod")]) == 0
    figures = report(tmp_path / "cosod")["groups"]["cosod:coca"]["figures"]["saliency"]
    assert next(one["value"] for one in figures if one["name"] == "MAE") == 0
    psg.write_submission(tmp_path / "submission")
    line = ["eval", "score", str(tmp_path / "submission"), "--benchmark", "psg:test"]
    assert main([*line, *with_data(ground), "--out", str(tmp_path / "psg")]) == 0
    found = report(tmp_path / "psg")
    figures = found["groups"]["psg:test"]["figures"]["relations"]
    assert next(one["value"] for one in figures if one["name"] == "R@20") == 1
    assert {row["system"] for row in found["published"]} >= {"PSGTR", "IMP"}
    assert "Published, not measured here" in (tmp_path / "psg" / "report.md").read_text()
    pred = tmp_path / "pred.txt"
    names = (ground / "dataset/datasets/hico/hico_600_annots.txt").read_text().splitlines()
    pred.write_text("".join(line.partition(",")[0] + "\n" for line in names))
    line = ["eval", "score", str(pred), "--benchmark", "tagging:hico", *with_data(ground)]
    assert main(line) == 0
    assert "| tags | CR | 0.0000 |" in capsys.readouterr().out


def test_an_interrupted_run_is_resumed(
    ground: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    line = ["nano:naming", "refcoco:train", "d3:full", "--limit", "6", "--batch-size", "2"]
    options = with_data(ground)
    assert main([*words(ground, *line, out=tmp_path / "whole"), *options]) == 0
    append, calls = PredictionLog.append, []

    def give_up(log: PredictionLog, answers: Any) -> None:
        if "d3" in str(log.path) and calls.append(1) is None and len(calls) == 2:
            raise KeyboardInterrupt
        append(log, answers)

    monkeypatch.setattr(PredictionLog, "append", give_up)
    broken = words(ground, *line, out=tmp_path / "broken")
    assert main([*broken, *options]) == EXIT_INTERRUPTED
    assert "--resume" in capsys.readouterr().err
    monkeypatch.setattr(PredictionLog, "append", append)
    part = tmp_path / "broken/d3-full"
    assert 0 < len((part / PREDICTIONS).read_text().splitlines()) - 1 < 5
    assert not (part / "report.json").exists()
    assert main([*broken, *options, "--resume"]) == 0
    for name in ("nano-naming", "refcoco-train", "d3-full"):
        whole = tmp_path / "whole" / name
        assert without_run(whole) == without_run(tmp_path / "broken" / name)


@pytest.mark.slow
def test_a_killed_run_is_resumed(ground: Path, tmp_path: Path):
    def line(out: Path) -> list[str]:
        return [*words(ground, "nano:naming", out=out), "--limit", "60", "--batch-size", "1"]

    assert main(line(tmp_path / "whole")) == 0
    broken, path = tmp_path / "broken", tmp_path / "broken" / PREDICTIONS
    process = subprocess.Popen(
        [sys.executable, "-m", "lisa.cli", *line(broken)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not (path.is_file() and path.read_bytes().count(b"\n") > 3):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes().count(b"\n") < 61
    assert main([*line(broken), "--resume"]) == 0
    assert without_run(broken) == without_run(tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_report_what_one_does(ground: Path, tmp_path: Path):
    line = ["d3:full", "refcoco:train"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([*words(ground, *line, out=one), *with_data(ground)]) == 0
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    subprocess.run(
        [*start, "-m", "lisa.cli", *words(ground, *line, out=two), *with_data(ground)],
        cwd=ROOT,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    for name in map(readable, line):
        assert without_run(one / name) == without_run(two / name)
        assert report(two / name)["run"]["processes"] == 2


@pytest.mark.slow
def test_lisa_nano_on_every_benchmark(ground: Path, tmp_path: Path):
    names = [*dataset_folder.MASKS, "nano:all"]
    line = ["eval", *names, *with_data(ground), "--limit", "2", "--out", str(tmp_path)]
    assert main([*line, "--offline"]) == 0
    naming = report(tmp_path / "nano-all")["groups"]["naming"]["figures"]["masks"]
    assert naming[0]["name"] == "gIoU"
    assert naming[0]["value"] > 0.5
    assert report(tmp_path / "nano-all")["asked"]["wording"] == "nano"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["reasonsge:val"], "perhaps 'reasonseg' is meant"),
        (["reasonseg:val"], "reasonseg:val needs its data: give --data DIR"),
        (["nano:naming", "nano:naming"], "nano:naming is named twice"),
        (["psg:test", "--data", "{dataset}"], "lisa eval score PREDICTIONS --benchmark psg:test"),
        (["nano:naming", "--resume"], "holds no run to go on with: leave --resume out"),
        (["nano:naming", "--wording", "klingon"], "no wording 'klingon'"),
        (["--limit", "3", "list"], "--limit stands before 'list'"),
        (["score", "nowhere"], "There is no 'nowhere'"),
        (["score", "{dataset}", "--limit", "3"], "--limit goes with --benchmark"),
        (["score", "nowhere.json", "--benchmark", "nano:all"], "There is no 'nowhere.json'"),
        (["compare", "nowhere", "nowhere"], "There is no 'nowhere'"),
    ],
)
def test_mistakes_get_one_sentence(
    line: list[str],
    message: str,
    ground: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
):
    given = [word.format(dataset=ground / "dataset") for word in line]
    if given[0] not in ("score", "compare", "--limit"):
        given += ["--model", str(ground / "model"), "--out", str(tmp_path / "out")]
    assert main(["eval", *given]) == EXIT_USER_ERROR
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("lisa: error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_resuming_another_run_is_refused(
    finished: Path, ground: Path, capsys: pytest.CaptureFixture
):
    before = (finished / PREDICTIONS).read_bytes()
    line = [*words(ground, "d3:full", out=finished, protocol="generate"), *with_data(ground)]
    assert main([*line, "--resume"]) == EXIT_USER_ERROR
    assert "another protocol" in capsys.readouterr().err
    assert (finished / PREDICTIONS).read_bytes() == before


def test_help_and_list_need_no_torch():
    for line in (["--help"], ["list"], ["score", "--help"], ["compare", "--help"]):
        code = f"import sys; from lisa.cli import main; main(['eval', *{line}])"
        code += "; sys.exit('torch' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_a_damaged_picture_is_named_and_left_out(
    ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    own_jsonl.write(tmp_path / "own")
    data = sorted((tmp_path / "own").glob("*.jsonl"))[0]
    lines = [json.loads(line) for line in data.read_text().splitlines()]
    lines[0]["image"] = "gone.png"
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(words(ground, str(data), out=tmp_path / "out")) == 0
    (fault,) = report(tmp_path / "out")["damaged"]
    assert "gone.png" in fault["message"]
    assert "gone.png" in capsys.readouterr().out
    for name in ("report.md", "report.html"):
        assert "gone.png" in (tmp_path / "out" / name).read_text()


def test_given_masks_are_judged_at_their_place(ground: Path, tmp_path: Path):
    """The masks of a folder are not all empty, or the tests above would show nothing."""
    out = tmp_path / "out"
    assert main([*words(ground, "refcoco:train", out=out), *with_data(ground)]) == 0
    given = [one.masks.given() for one in read_own(out / PREDICTIONS).results if one.masks]
    assert np.any([mask.any() for mask in given])
