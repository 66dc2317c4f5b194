"""QLoRA as a user does it: a published layout in few bits, trained, resumed, merged and asked."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from lisa.cli import main
from lisa.pipeline import LisaPipeline
from tests.data_sets import own_jsonl
from tests.unit.released.checkpoints import Sizes, Written, write_checkpoint
from training.adapters import start_learning
from training.checkpoints import latest_checkpoint
from training.config import TrainConfig, read_config
from training.run import train
from training.start import open_start
from training.state import OPTIMIZER, TRAINED, load_trained

bits = pytest.importorskip("bitsandbytes")

STEPS = 3
LANGUAGE_LAYERS = 2 * 7


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A published checkpoint with room for whole conversations, and a data set beside it."""
    folder = tmp_path_factory.mktemp("ground")
    own_jsonl.write(folder / "own")
    entry = {"name": "own", "format": "jsonl", "path": "own", "split": "train"}
    (folder / "data.yaml").write_text(yaml.safe_dump({"data_sets": [entry]}))
    return write_checkpoint(folder, Sizes(extra_config={"max_position_embeddings": 2048}))


def write_config(ground: Written, folder: Path, quantize: str, **changes: Any) -> Path:
    config = {
        "model": {
            "start": str(ground.folder),
            "vision_tower": str(ground.tower),
            "dtype": "float32",
            "quantize": quantize,
            "gradient_checkpointing": True,
        },
        "data": {
            "registry": str(ground.folder.parent / "data.yaml"),
            "samples": {"rejects": False},
            "workers": 0,
            "max_length": 2000,
        },
        "optimizer": {
            "steps": STEPS,
            "batch": 2,
            "accumulation": 1,
            "warmup": 0,
            "learning_rate": 0.01,
        },
        "validation": {"every": 0},
        "output": {"folder": str(folder / "run"), "save_every": 1, "keep": STEPS},
        "device": "cpu",
        **changes,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module", params=["4bit", "8bit"])
def run(ground: Written, request, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """The configuration of a run that is done."""
    folder = tmp_path_factory.mktemp("runs")
    path = write_config(ground, folder, request.param)
    assert main(["train", str(path)]) == 0
    return read_config(path)


def last_of(config: TrainConfig) -> Path:
    checkpoint = latest_checkpoint(config.output.folder / "checkpoints")
    assert checkpoint is not None
    return checkpoint


def test_lora_learns_beside_layers_of_few_bits(run: TrainConfig) -> None:
    model = open_start(run).model
    kind = bits.nn.Linear4bit if run.model.quantize == "4bit" else bits.nn.Linear8bitLt
    assert sum(isinstance(one, kind) for one in model.modules()) == LANGUAGE_LAYERS
    learnt = load_file(last_of(run) / TRAINED)
    adapters = [name for name in learnt if ".lora_B." in name]
    assert len(adapters) == 2 * 2
    assert all(learnt[name].abs().sum() > 0 for name in adapters)
    assert all(one.dtype == torch.float32 for one in learnt.values())


def test_a_resumed_run_ends_as_if_never_stopped(run: TrainConfig, tmp_path: Path) -> None:
    output = tmp_path / "run"
    shutil.copytree(run.output.folder, output)
    for step in (2, 3):
        shutil.rmtree(output / "checkpoints" / f"step-{step:08d}")
    again = train(replace(run, output=replace(run.output, folder=output)), resume=True)
    for file in (TRAINED, OPTIMIZER):
        whole, resumed = load_file(last_of(run) / file), load_file(again / file)
        assert whole.keys() == resumed.keys()
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_merged_is_the_whole_base_with_its_adapters(run: TrainConfig, tmp_path: Path) -> None:
    merged, beside = tmp_path / "merged", last_of(run)
    assert main(["merge", str(beside), str(merged)]) == 0
    alone = LisaPipeline.from_pretrained(merged, device="cpu")
    assert not any("bit" in type(one).__name__ for one in alone.model.modules())
    start = open_start(replace(run, model=replace(run.model, quantize=None)))
    _, learning = start_learning(start.model, run.learning)
    load_trained(beside, learning)
    start.model.eval()
    ids = torch.arange(3, 60)[None]
    with torch.no_grad():
        one, other = (p.model.backbone(input_ids=ids).logits for p in (alone, start))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_merged_model_answers(run: TrainConfig, ground: Written, tmp_path: Path) -> None:
    main(["merge", str(last_of(run)), str(tmp_path / "merged")])
    picture = str(ground.folder.parent / "own" / "pictures" / "1.jpg")
    words = ["Segment the cup.", "--model", str(tmp_path / "merged"), "--offline"]
    assert main(["segment", picture, *words, "--out", str(tmp_path / "answer")]) == 0
    assert (tmp_path / "answer" / "result.json").exists()
