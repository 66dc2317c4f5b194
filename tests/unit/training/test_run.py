"""The run itself, on a tiny model and a tiny data set; slow parts of real runs are all in it."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from lisa.errors import CheckpointError, ConfigError, DataError, MissingDependencyError
from lisa.pipeline import LisaPipeline
from tests.tiny_run import STEPS, run_config, write_ground
from training import run as run_module
from training.checkpoints import latest_checkpoint
from training.config import TrainConfig
from training.merge import merge
from training.resume import CHECKPOINTS
from training.run import train
from training.state import TRAINED


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ground(tmp_path_factory.mktemp("ground"))


def config(ground: Path, output: Path, *words: str) -> TrainConfig:
    optimizer = {"steps": STEPS, "batch": 1, "accumulation": 2, "learning_rate": 0.01, "warmup": 1}
    return run_config(ground, output, *words, optimizer=optimizer)


def log(output: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in one.items() if "per_second" not in k} for one in lines]


def trained(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / TRAINED)


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.fixture(scope="module")
def finished(ground: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "finished"
    train(config(ground, output))
    return output


def test_a_run_learns_and_leaves_what_it_should(finished: Path) -> None:
    losses = [one["loss"] for one in log(finished)]
    assert len(losses) == STEPS
    assert losses[-1] < losses[0]
    last = latest_checkpoint(finished / CHECKPOINTS)
    assert last is not None
    assert last.name == f"step-{STEPS:08d}"
    stored = yaml.safe_load((last / "config.yaml").read_text())
    assert stored["optimizer"]["steps"] == STEPS
    assert any(".lora_B." in name for name in trained(last))


@pytest.mark.parametrize("words", [[], ["data.workers=1"], ["data.workers=4"]])
def test_the_same_run_gives_the_same_numbers(
    ground: Path, finished: Path, tmp_path: Path, words: list[str]
) -> None:
    again = train(config(ground, tmp_path / "again", *words))
    assert log(tmp_path / "again") == log(finished)
    assert_same(trained(again), trained(latest_checkpoint(finished / CHECKPOINTS)))


def test_another_seed_gives_another_run(ground: Path, finished: Path, tmp_path: Path) -> None:
    train(config(ground, tmp_path / "other", "seed=1"))
    assert log(tmp_path / "other") != log(finished)


class Killed(BaseException):
    """Ends a run like a signal: nothing may catch it."""


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Kills a run at the steps in the list, each once."""
    steps: list[int] = []
    real = run_module.take_step

    def step(engine, settings, micro, number):
        if steps and number == steps[0]:
            steps.pop(0)
            raise Killed
        return real(engine, settings, micro, number)

    monkeypatch.setattr(run_module, "take_step", step)
    return steps


@pytest.mark.parametrize("kills", [[3], [2], [1, 3], [2, 3], [3, 3]])
def test_a_killed_run_goes_on_bit_for_bit(
    ground: Path, finished: Path, tmp_path: Path, stop_at: list[int], kills: list[int]
) -> None:
    output = tmp_path / "killed"
    stop_at += kills
    for _ in kills:
        with pytest.raises(Killed):
            train(config(ground, output), resume=True)
    last = train(config(ground, output), resume=True)
    assert_same(trained(last), trained(latest_checkpoint(finished / CHECKPOINTS)))
    assert log(output) == log(finished)


def test_a_finished_run_stays_as_it_is(ground: Path, finished: Path, tmp_path: Path) -> None:
    output = tmp_path / "copy"
    shutil.copytree(finished, output)
    before = trained(latest_checkpoint(output / CHECKPOINTS))
    assert_same(trained(train(config(ground, output), resume=True)), before)
    assert log(output) == log(finished)


def test_a_run_is_never_overwritten(ground: Path, finished: Path) -> None:
    with pytest.raises(ConfigError, match=r"already holds a run of 4 steps: add --resume"):
        train(config(ground, finished))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed=5", "seed was 0 and is 5"),
        ("optimizer.learning_rate=0.5", "optimizer.learning_rate was 0.01 and is 0.5"),
        ("learning.lora_alpha=4", "learning.lora_alpha was 16.0 and is 4.0"),
    ],
)
def test_another_run_is_not_gone_on_with(
    ground: Path, finished: Path, word: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(config(ground, finished, word), resume=True)


@pytest.mark.parametrize("words", [[], ["loss.normalize=step"]])
def test_accumulation_is_a_larger_batch(ground: Path, tmp_path: Path, words: list[str]) -> None:
    """Divided by the counts of the whole step, four small batches are one of four pictures."""
    words = [*words, "learning.lora_dropout=0", "optimizer.steps=2"]
    small = config(ground, tmp_path / "a", *words, "optimizer.accumulation=4")
    large = config(ground, tmp_path / "b", *words, "optimizer.batch=4", "optimizer.accumulation=1")
    train(small)
    train(large)
    for one, other in zip(log(tmp_path / "a"), log(tmp_path / "b"), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["norm"] == pytest.approx(other["norm"], rel=1e-4)


def test_lisa_divides_each_micro_batch_by_its_own(ground: Path, tmp_path: Path) -> None:
    words = ["learning.lora_dropout=0", "optimizer.steps=1", "optimizer.accumulation=4"]
    for kind in ("step", "micro_batch"):
        train(config(ground, tmp_path / kind, *words, f"loss.normalize={kind}"))
    norms = {kind: log(tmp_path / kind)[0]["norm"] for kind in ("step", "micro_batch")}
    assert norms["step"] != pytest.approx(norms["micro_batch"], rel=1e-3)


def test_a_merged_model_answers_as_the_trained_one(
    ground: Path, finished: Path, tmp_path: Path
) -> None:
    checkpoint = latest_checkpoint(finished / CHECKPOINTS)
    merge(checkpoint, tmp_path / "merged")
    merged = LisaPipeline.from_pretrained(tmp_path / "merged", device="cpu").model
    start = LisaPipeline.from_pretrained(ground / "model", device="cpu").model
    learnt = trained(checkpoint)
    layer = next(name for name in learnt if name.endswith("lora_A.default.weight"))
    plain = layer.removesuffix(".lora_A.default.weight")
    product = learnt[layer.replace("lora_A", "lora_B")] @ learnt[layer]
    torch.testing.assert_close(
        merged.get_parameter(f"{plain}.weight"),
        start.get_parameter(f"{plain}.weight") + 16 / 8 * product,
    )
    for name, parameter in merged.named_parameters():
        if name in learnt:
            torch.testing.assert_close(parameter, learnt[name])
        elif f"{name.removesuffix('.weight')}.lora_A.default.weight" not in learnt:
            assert torch.equal(parameter, start.get_parameter(name)), name


def test_a_damaged_checkpoint_is_not_merged(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "step-00000004"
    shutil.copytree(latest_checkpoint(finished / CHECKPOINTS), copy)
    (copy / TRAINED).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="is no whole checkpoint: .*has 1 bytes"):
        merge(copy, tmp_path / "merged")


def test_a_tracker_gets_the_numbers(ground: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output = tmp_path / "run"
    train(config(ground, output, "output.trackers=[tensorboard]", "optimizer.steps=2"))
    events = EventAccumulator(str(next(output.rglob("events.*")).parent))
    events.Reload()
    assert [one.value for one in events.Scalars("loss")] == pytest.approx(
        [one["loss"] for one in log(output)], rel=1e-5
    )


def test_a_tracker_that_is_not_installed(ground: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, real=importlib.util.find_spec: None if name == "trackio" else real(name),
    )
    with pytest.raises(MissingDependencyError, match="trackio, which is not installed: pip"):
        train(config(ground, tmp_path / "run", "output.trackers=[trackio]"))


def test_too_many_damaged_records_stop_the_run(ground: Path, tmp_path: Path, capsys) -> None:
    own = tmp_path / "own"
    shutil.copytree(ground / "own", own)
    (own / "pictures" / "1.jpg").write_bytes(b"no picture")
    entry = {"name": "own", "format": "jsonl", "path": "own", "split": "train"}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"data_sets": [entry]}))
    words = [f"data.registry={tmp_path / 'data.yaml'}", "optimizer.accumulation=4"]
    with pytest.raises(DataError, match="cannot be used, more than 1%.*lisa data check"):
        train(config(ground, tmp_path / "run", *words))
    train(config(ground, tmp_path / "run2", *words, "data.damaged_share=1"))
    assert sum(one["skipped"] for one in log(tmp_path / "run2")) > 0
    assert "1.jpg" in capsys.readouterr().out
