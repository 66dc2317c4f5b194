"""What a run can start from; above all a vision-language model and a SAM, through the real run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from accelerate.state import AcceleratorState

from lisa.cli import main
from lisa.errors import ConfigError
from lisa.models import LisaModel, packing
from lisa.settings import build_settings, override
from tests.data_sets import own_jsonl
from tests.tiny import picture, tiny_model, tiny_processor
from tests.tiny_base import write_base, write_sam
from training.config import TrainConfig
from training.merge import merge
from training.run import train
from training.start import open_start

STEPS = 3


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models to start from, a SAM, a data set and its registry."""
    folder = tmp_path_factory.mktemp("ground")
    for kind in ("llava", "qwen2_5_vl", "qwen3_vl"):
        write_base(folder / kind, kind)
    write_sam(folder / "sam_vit_b.pth")
    tiny_model().save_pretrained(folder / "lisa")
    tiny_processor().save_pretrained(folder / "lisa")
    own_jsonl.write(folder / "own")
    entry = {"name": "own", "format": "jsonl", "path": "own", "split": "train"}
    (folder / "data.yaml").write_text(yaml.safe_dump({"data_sets": [entry]}))
    return folder


def config(ground: Path, start: str, output: Path, *words: str) -> TrainConfig:
    data = {
        "data": {"registry": str(ground / "data.yaml"), "workers": 0, "max_length": 2000},
        "output": {"folder": str(output), "save_every": STEPS},
        "model": {"start": str(ground / start), "dtype": "float32"},
        "optimizer": {"steps": STEPS, "batch": 2, "accumulation": 1, "learning_rate": 0.003},
        "device": "cpu",
    }
    if start != "lisa":
        data["model"]["segmenter"] = str(ground / "sam_vit_b.pth")
    data["optimizer"]["warmup"] = 1
    return build_settings(TrainConfig, override(data, words), "test")


@pytest.fixture
def fresh_accelerator() -> Iterator[None]:
    """accelerate keeps the number type of a process's first run; here runs differ in it."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("fresh_accelerator")
@pytest.mark.parametrize(
    ("kind", "parts", "more"),
    [
        ("llava", "lisa", []),
        ("qwen2_5_vl", "lisa_all_linear", ["model.gradient_checkpointing=true"]),
        ("qwen3_vl", "lisa", ["model.dtype=bfloat16"]),
    ],
)
def test_a_vision_language_model_learns_to_segment(
    ground: Path, tmp_path: Path, capsys, kind: str, parts: str, more: list[str]
) -> None:
    """Train, merge, and ask the result through the command line."""
    settings = config(ground, kind, tmp_path / "run", f"learning.parts={parts}", *more)
    before = open_start(settings).model.state_dict()
    checkpoint = train(settings)
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line).get("loss") for line in lines]
    assert len([loss for loss in losses if loss is not None]) == STEPS
    assert all(torch.isfinite(torch.tensor(loss)) for loss in losses if loss is not None)
    merge(checkpoint, tmp_path / "merged")
    after = LisaModel.from_pretrained(tmp_path / "merged").state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    frozen = ("visual", "vision_tower", "multi_modal_projector", "image_encoder", "prompt_encoder")
    assert not [name for name in moved if any(part in name for part in frozen)]
    assert "mask_projection.0.weight" in moved
    assert any("segmenter.mask_decoder" in name for name in moved)
    layer = "backbone.model.language_model.layers.0"
    assert f"{layer}.self_attn.q_proj.weight" in moved
    assert (f"{layer}.mlp.up_proj.weight" in moved) is (parts == "lisa_all_linear")
    assert f"{layer}.input_layernorm.weight" not in moved
    picture(70, 90).save(tmp_path / "picture.png")
    arguments = ["segment", str(tmp_path / "picture.png"), "Where is it?"]
    arguments += ["--model", str(tmp_path / "merged"), "--out", str(tmp_path / "out")]
    arguments += ["--device", "cpu", "--max-new-tokens", "4", "--offline"]
    assert main(arguments) == 0, capsys.readouterr().err
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["image_size"] == [70, 90]


@pytest.mark.usefixtures("fresh_accelerator")
def test_a_run_learns_and_merges_where_packing_would_pay(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "SMALLEST", 1)
    settings = config(ground, "lisa", tmp_path / "run", "learning.parts=lisa")
    before = open_start(settings).model.state_dict()
    merge(train(settings), tmp_path / "merged")
    after = LisaModel.from_pretrained(tmp_path / "merged").state_dict()
    layer = "backbone.model.language_model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(before[layer], after[layer])


@pytest.mark.parametrize(
    ("start", "words", "message"),
    [
        ("lisa", ["model.image_tokens=9"], "is a LISA already, where model.image_tokens has no"),
        ("lisa", ["model.segmenter=sam.pth"], "is a LISA already, where model.segmenter has no"),
        ("llava", ["model.segmenter=null"], "knows nothing of masks: set model.segmenter"),
        ("llava", ["model.quantize=4bit"], "without masks, where model.quantize has no use"),
        ("llava", ["model.vision_tower=clip"], "where model.vision_tower has no use"),
    ],
)
def test_settings_that_have_no_use(ground: Path, tmp_path, start, words, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_start(config(ground, start, tmp_path, *words))


def test_a_template_and_a_size_of_pictures(ground: Path, tmp_path: Path) -> None:
    words = ["model.template=chatml", "model.image_tokens=9"]
    pipeline = open_start(config(ground, "qwen2_5_vl", tmp_path, *words))
    assert pipeline.processor.settings.template == "chatml"
    assert len(pipeline.encode(picture(300, 400)).image_tokens) <= 9


def test_the_seed_of_the_run_decides_what_is_fresh(ground: Path, tmp_path: Path) -> None:
    weights = []
    for seed in (0, 0, 1):
        pipeline = open_start(config(ground, "llava", tmp_path, f"seed={seed}"))
        weights.append(pipeline.model.mask_projection[0].weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
