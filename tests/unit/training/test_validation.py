"""Validation inside a run: what it writes, that it disturbs nothing, which checkpoint is best."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from lisa.errors import ConfigError, DataError
from tests.tiny import tiny_model
from tests.tiny_run import STEPS, TRAINING, run_config, write_ground, write_registry
from training import checkpoints as checkpoints_module
from training import run as run_module
from training.adapters import learning_mode
from training.checkpoints import best_checkpoint, latest_checkpoint, scores_of
from training.config import TrainConfig, ValidationSettings
from training.resume import CHECKPOINTS
from training.run import train
from training.state import TRAINED
from training.validation import LOG, PICTURES, Validation, undisturbed

HELD_OUT = {"name": "held out", "format": "jsonl", "path": "own", "split": "validation"}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ground(tmp_path_factory.mktemp("ground"), validation=[HELD_OUT])


def config(ground: Path, output: Path, *words: str) -> TrainConfig:
    optimizer = {"steps": STEPS, "batch": 1, "accumulation": 1, "warmup": 1}
    return run_config(ground, output, *words, optimizer=optimizer, validation={"every": 2})


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a log without what depends on the clock."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in one.items() if "second" not in k} for one in found]


@pytest.fixture(scope="module")
def finished(ground: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "finished"
    train(config(ground, output))
    return output


def test_lines_and_pictures(finished: Path) -> None:
    found = lines(finished / LOG)
    assert [line["step"] for line in found] == [0, 2, 4]
    for line in found:
        assert 0 <= line["giou"] <= 1
        assert line["n"] == line["data_sets"]["held out"]["n"] == 2
        assert line["data_sets"]["held out"]["absent"]["n"] == 1
        assert line["damaged"] == 0
        assert line["asked"] == found[0]["asked"]
        with Image.open(finished / PICTURES / f"step-{line['step']:08d}.png") as grid:
            assert grid.width > 3 * 200


def test_nothing_else_in_the_run_changes(ground: Path, finished: Path, tmp_path: Path) -> None:
    for every in (0, 1):
        train(config(ground, tmp_path / str(every), f"validation.every={every}"))
        assert lines(tmp_path / str(every) / "log.jsonl") == lines(finished / "log.jsonl")
        here, there = (
            load_file(latest_checkpoint(output / CHECKPOINTS) / TRAINED)
            for output in (tmp_path / str(every), finished)
        )
        assert all(torch.equal(here[name], there[name]) for name in there)
    assert not (tmp_path / "0" / LOG).exists()
    assert [line["step"] for line in lines(tmp_path / "1" / LOG)] == [0, 1, 2, 3, 4]


def test_modes_and_random_numbers_are_as_before() -> None:
    model = tiny_model()
    learning_mode(model)
    model.segmenter.train(False)
    modes = [module.training for module in model.modules()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    with undisturbed(model):
        assert not any(module.training for module in model.modules())
        torch.rand(7)
    assert modes == [module.training for module in model.modules()]
    assert any(modes)
    assert not all(modes)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]


@pytest.mark.parametrize("kills", [[1], [3], [2, 3], [0, 1]])
def test_a_killed_run_ends_with_the_same_lines(
    ground: Path, finished: Path, tmp_path: Path, monkeypatch, kills: list[int]
) -> None:
    """Killed at a step; the validation before it may or may not have a checkpoint yet."""
    real, left = run_module.take_step, list(kills)

    def step(engine, settings, micro, number):
        if left and number == left[0]:
            left.pop(0)
            raise KeyboardInterrupt
        return real(engine, settings, micro, number)

    monkeypatch.setattr(run_module, "take_step", step)
    for _ in kills:
        with pytest.raises(KeyboardInterrupt):
            train(config(ground, tmp_path / "killed"), resume=True)
    train(config(ground, tmp_path / "killed"), resume=True)
    assert lines(tmp_path / "killed" / LOG) == lines(finished / LOG)
    best, other = (best_checkpoint(one / CHECKPOINTS) for one in (tmp_path / "killed", finished))
    assert best.name == other.name
    assert scores_of(best)["giou"] == scores_of(other)["giou"]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> dict[int, float | None]:
    """gIoU by step, in the place of what the model would have."""
    gious: dict[int, float | None] = {}
    real = Validation.run

    def run(self: Validation, done: int) -> dict[str, Any]:
        return {**real(self, done), "giou": gious[done]}

    monkeypatch.setattr(Validation, "run", run)
    return gious


def test_the_best_checkpoint_stays(ground: Path, tmp_path: Path, give) -> None:
    give |= {0: 0.9, 1: 0.1, 2: 0.3, 3: 0.5, 4: 0.2, 5: 0.5, 6: 0.4}
    words = ["optimizer.steps=6", "output.save_every=2", "output.keep=1", "validation.every=1"]
    train(config(ground, tmp_path / "run", *words))
    checkpoints = tmp_path / "run" / CHECKPOINTS
    # Step 3 is no multiple of save_every: it was kept because it was the best.
    assert sorted(p.name for p in checkpoints.iterdir()) == ["step-00000003", "step-00000006"]
    assert best_checkpoint(checkpoints).name == "step-00000003"


@pytest.mark.parametrize(
    ("where", "stop"), [("_write_manifest", 3), ("_sync", 4), ("best_checkpoint", 5)]
)
def test_the_best_survives_kill_and_resume(
    ground: Path, tmp_path: Path, give, monkeypatch, where: str, stop: int
) -> None:
    """The run dies while a checkpoint is written, gets its name, or old ones are about to go."""
    give |= {0: 0.0, 1: 0.1, 2: 0.3, 3: 0.2, 4: 0.2, 5: 0.1, 6: 0.3}
    words = ["optimizer.steps=6", "output.save_every=1", "output.keep=1", "validation.every=1"]
    real = getattr(checkpoints_module, where)

    def die(folder: Path):
        if list(folder.parent.rglob(f"step-{stop:08d}*")):
            raise KeyboardInterrupt
        return real(folder)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints_module, where, die)
        with pytest.raises(KeyboardInterrupt):
            train(config(ground, tmp_path / "run", *words))
    checkpoints = tmp_path / "run" / CHECKPOINTS
    assert best_checkpoint(checkpoints).name == "step-00000002"
    train(config(ground, tmp_path / "run", *words), resume=True)
    assert sorted(p.name for p in checkpoints.iterdir()) == ["step-00000002", "step-00000006"]
    assert best_checkpoint(checkpoints).name == "step-00000002"


def test_damaged_records_are_counted_and_the_run_goes_on(
    ground: Path, tmp_path: Path, capsys
) -> None:
    shutil.copytree(ground / "own", tmp_path / "own")
    (tmp_path / "data.yaml").write_text(
        yaml.safe_dump(
            {
                "data_sets": [{**TRAINING, "path": str(ground / "own")}],
                "validation": [{**TRAINING, "name": "damaged"}, HELD_OUT],
            }
        )
    )
    (tmp_path / "own" / "pictures" / "1.jpg").write_bytes(b"no picture")
    train(config(tmp_path, tmp_path / "run", f"model.start={ground / 'model'}"))
    assert {line["damaged"] for line in lines(tmp_path / "run" / LOG)} == {1}
    assert "left out: damaged, " in capsys.readouterr().err
    assert "1 records are damaged" in (tmp_path / "run" / "README.md").read_text()


def test_what_is_asked(ground: Path, tmp_path: Path) -> None:
    """A registry of its own, a data set itself, or the validation of what is learnt from."""

    def names(*words: str) -> list[str]:
        return validation(ground, tmp_path, *words).names

    assert names() == ["held out"]
    assert names(f"validation.registry={ground / 'own' / 'train.jsonl'}") == ["train.jsonl"]
    assert names("validation.every=0") == []
    shutil.copy(ground / "data.yaml", tmp_path / "data.yaml")
    shutil.copytree(ground / "own", tmp_path / "own")
    write_registry(tmp_path)
    assert names(f"validation.registry={tmp_path / 'data.yaml'}") == ["own"]
    assert names(f"data.registry={tmp_path / 'data.yaml'}") == []
    places = validation(
        ground, tmp_path, f"validation.registry={tmp_path / 'data.yaml'}", "validation.records=2"
    ).places
    assert [place.index for place in places] == [0, 1]


def validation(ground: Path, tmp_path: Path, *words: str) -> Validation:
    return Validation(config(ground, tmp_path / "run", *words), None, 0, 1)


def test_the_processes_share_the_records(ground: Path, tmp_path: Path) -> None:
    word = f"validation.registry={ground / 'own' / 'train.jsonl'}"
    settings = config(ground, tmp_path / "run", word)
    whole = [one.key for one in Validation(settings, None, 0, 1).own_pictures]
    parts = [Validation(settings, None, process, 2).own_pictures for process in (0, 1)]
    assert len(whole) == 3
    assert [[one.key for one in part] for part in parts] == [whole[::2], whole[1::2]]


def test_what_cannot_be_asked_stops_the_run_at_once(ground: Path, tmp_path: Path) -> None:
    missing = {"name": "x", "format": "jsonl", "path": str(tmp_path / "gone.jsonl")}
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump({"data_sets": [missing]}))
    settings = config(ground, tmp_path / "run", f"validation.registry={tmp_path / 'asked.yaml'}")
    with pytest.raises(DataError, match=r"gone\.jsonl"):
        train(settings)
    assert not (tmp_path / "run" / "log.jsonl").exists()
    with pytest.raises(ConfigError, match="records must be 1 or more"):
        ValidationSettings(records=0)


def test_validation_may_change_when_a_run_goes_on(ground: Path, finished: Path, tmp_path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    word = f"validation.registry={ground / 'own' / 'train.jsonl'}"
    train(config(ground, tmp_path / "copy", word, "validation.every=1"), resume=True)


def test_trackers_get_the_scores(ground: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output = tmp_path / "run"
    train(config(ground, output, "output.trackers=[tensorboard]"))
    events = EventAccumulator(str(next(output.rglob("events.*")).parent))
    events.Reload()
    scalars = events.Scalars("validation/giou")
    assert [one.step for one in scalars] == [0, 1, 3]
    assert [one.value for one in scalars] == pytest.approx(
        [line["giou"] for line in lines(output / LOG)], abs=1e-6
    )
