from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lisa.errors import CheckpointError, DataError
from training.loop import RunSettings, StepReport, run
from training.state import OPTIMIZER, TRAINED

STEPS = 4


def settings(folder: Path, **changes) -> RunSettings:
    values = {"steps": STEPS, "learning_rate": 0.1, "warmup": 1, "save_every": 2, **changes}
    return RunSettings("tiny", folder, **values)


def batches(count: int = STEPS, stop: int | None = None) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(5)
    for step in range(count):
        if step == stop:
            raise KeyboardInterrupt
        yield torch.randn(6, 3, generator=generator)


class Data:
    """The same batches every time it is iterated; stops like a user at batch `stop`."""

    def __init__(self, count: int = STEPS, stop: int | None = None) -> None:
        self.count, self.stop = count, stop

    def __iter__(self) -> Iterator[Tensor]:
        return batches(self.count, self.stop)


def trained(folder: Path, data: Data, **changes) -> nn.Linear:
    """A layer after a run; weights are fresh from seed 0, so what it keeps comes from the state."""
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)

    def loss_of(batch: Tensor, step: int) -> StepReport:
        loss = (layer(batch) - 1).square().mean()
        return StepReport(loss, {"loss": loss.item()})

    run(settings(folder, **changes), dict(layer.named_parameters()), data, loss_of)
    return layer


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def without_seconds(folder: Path) -> list[dict]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines(folder)]


@pytest.mark.parametrize("stop", [2, 3])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path: Path, stop: int) -> None:
    """Bit for bit, log included; what came after the last saved state is done again."""
    whole = trained(tmp_path / "whole", Data())
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "parts", Data(stop=stop))
    resumed = trained(tmp_path / "parts", Data())
    for name, parameter in whole.named_parameters():
        assert torch.equal(parameter, resumed.get_parameter(name)), name
    for file in (TRAINED, OPTIMIZER):
        last = Path("checkpoints") / f"step-{STEPS:08d}" / file
        one, other = (load_file(tmp_path / kind / last) for kind in ("whole", "parts"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert "exp_avg_sq/weight" in one
    assert without_seconds(tmp_path / "parts") == without_seconds(tmp_path / "whole")


def test_a_finished_run_is_only_loaded(tmp_path: Path) -> None:
    first = trained(tmp_path, Data())
    again = trained(tmp_path, Data(count=0))
    assert torch.equal(first.weight, again.weight)
    assert len(lines(tmp_path)) == STEPS


def test_each_step_has_its_line(tmp_path: Path) -> None:
    trained(tmp_path, Data())
    assert [line["step"] for line in lines(tmp_path)] == list(range(STEPS))
    for line in lines(tmp_path):
        assert line.keys() == {"step", "loss", "norm", "seconds"}
        assert line["loss"] > 0
        assert line["norm"] > 0
    assert lines(tmp_path)[-1]["loss"] < lines(tmp_path)[0]["loss"]


def test_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, Data(stop=3))
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "lo')
    trained(tmp_path, Data())
    assert [line["step"] for line in lines(tmp_path)] == list(range(STEPS))


def test_gradients_are_clipped(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.ones(2))
    seen: list[float] = []
    weight.register_post_accumulate_grad_hook(lambda p: seen.append(float(p.grad.norm())))
    clipped: list[float] = []

    def loss_of(batch: Tensor, step: int) -> StepReport:
        if step:
            clipped.append(float(weight.grad.norm()))
        return StepReport((weight * 1e3).sum(), {})

    run(settings(tmp_path, clip=0.5), {"weight": weight}, Data(), loss_of)
    assert min(seen) > 1000
    assert max(clipped) <= 0.5 + 1e-6


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, value: float) -> None:
    weight = nn.Parameter(torch.ones(2))

    def loss_of(batch: Tensor, step: int) -> StepReport:
        return StepReport((weight * (value if step == 1 else 1.0)).sum(), {})

    with pytest.raises(DataError, match=f"loss of step 1 is {value}: lower the learning rate"):
        run(settings(tmp_path), {"weight": weight}, Data(), loss_of)
    assert torch.isfinite(weight).all()


def test_batches_that_end_early_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="batches end after 3 of 4 steps"):
        trained(tmp_path / "three", Data(count=3))
    with pytest.raises(DataError, match="batches end after 0 of 4 steps"):
        trained(tmp_path / "none", Data(count=0))


def test_a_state_of_another_run_is_one_sentence(tmp_path: Path) -> None:
    trained(tmp_path, Data())
    other = {"other": nn.Parameter(torch.ones(2))}
    with pytest.raises(CheckpointError, match="of a run in which other parts learn"):
        run(settings(tmp_path), other, Data(), lambda batch, step: StepReport(batch.sum(), {}))
