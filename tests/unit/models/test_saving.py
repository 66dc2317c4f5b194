from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

from lisa.errors import CheckpointError, ConfigError
from lisa.models import LisaConfig, LisaModel
from tests.tiny import tiny_config, tiny_model

WEIGHTS = "model.safetensors"


def mixed(**options) -> LisaModel:
    model = tiny_model(**options)
    model.backbone.to(torch.bfloat16)
    return model


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"projector": "linear"}])
def test_save_load_save_is_identical(tmp_path, options) -> None:
    model = mixed(**options)
    model.save_pretrained(tmp_path / "a")
    loaded = LisaModel.from_pretrained(tmp_path / "a")
    loaded.save_pretrained(tmp_path / "b")
    for name in (WEIGHTS, "config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    before, after = model.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype, name
        assert torch.equal(tensor, after[name]), name
    assert loaded.backbone.dtype == torch.bfloat16
    assert loaded.segmenter_dtype == torch.float32


def test_the_output_layer_survives(tmp_path) -> None:
    """A subclass of LLaVA would lose it silently; so would a part loaded by another name."""
    model = tiny_model()
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / WEIGHTS)
    assert [k for k in stored if k.endswith("lm_head.weight")]
    loaded = LisaModel.from_pretrained(tmp_path)
    weight = loaded.backbone.get_output_embeddings().weight
    assert torch.equal(weight, model.backbone.get_output_embeddings().weight)


def test_tied_embeddings_stay_tied(tmp_path) -> None:
    tiny_model(tied=True).save_pretrained(tmp_path)
    assert not [k for k in load_file(tmp_path / WEIGHTS) if k.endswith("lm_head.weight")]
    loaded = LisaModel.from_pretrained(tmp_path)
    table = loaded.backbone.get_input_embeddings().weight
    assert loaded.backbone.get_output_embeddings().weight is table


@pytest.mark.parametrize("shards", ["5GB", "100KB"])
def test_number_types_can_be_chosen(tmp_path, shards: str) -> None:
    mixed().save_pretrained(tmp_path, max_shard_size=shards)
    for asked, expected in (
        ({}, (torch.bfloat16, torch.float32)),
        ({"dtype": torch.float16}, (torch.float16, torch.float16)),
        ({"dtype": "float32"}, (torch.float32, torch.float32)),
        ({"segmenter_dtype": "bfloat16"}, (torch.bfloat16, torch.bfloat16)),
        ({"dtype": "float32", "segmenter_dtype": "float16"}, (torch.float32, torch.float16)),
    ):
        model = LisaModel.from_pretrained(tmp_path, **asked)
        assert {p.dtype for p in model.backbone.parameters()} == {expected[0]}, asked
        rest = [p for n, p in model.named_parameters() if not n.startswith("backbone.")]
        assert {p.dtype for p in rest} == {expected[1]}, asked
    with pytest.raises(ConfigError, match="'int8' is no number type"):
        LisaModel.from_pretrained(tmp_path, segmenter_dtype="int8")


def test_a_mixture_that_would_be_lost_is_not_saved(tmp_path) -> None:
    model = tiny_model()
    model.backbone.lm_head.to(torch.bfloat16)
    with pytest.raises(CheckpointError, match="backbone has weights of type bfloat16, float32"):
        model.save_pretrained(tmp_path)
    model = tiny_model()
    model.segmenter.to(torch.bfloat16)
    with pytest.raises(CheckpointError, match="segmenter has weights of type bfloat16"):
        model.save_pretrained(tmp_path)


def test_nothing_may_be_missing_or_left_over(tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    name = next(k for k in weights if k.endswith("lm_head.weight"))
    kept = weights.pop(name)
    save_file({**weights, "stray.weight": torch.zeros(1)}, tmp_path / WEIGHTS, {"format": "pt"})
    with pytest.raises(CheckpointError) as caught:
        LisaModel.from_pretrained(tmp_path)
    assert "missing: backbone.lm_head.weight" in str(caught.value)
    assert "unexpected: stray.weight" in str(caught.value)
    save_file({**weights, name: kept[:-1].contiguous()}, tmp_path / WEIGHTS, {"format": "pt"})
    with pytest.raises(CheckpointError, match="do not fit the model that its config.json"):
        LisaModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("keep", [None, 0, 4, 1000, -1])
def test_damaged_weights_get_a_sentence(tmp_path, keep) -> None:
    tiny_model().save_pretrained(tmp_path)
    content = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).unlink()
    if keep is not None:
        (tmp_path / WEIGHTS).write_bytes(content[:keep])
    with pytest.raises(CheckpointError, match="are missing or damaged"):
        LisaModel.from_pretrained(tmp_path)


def test_auto_classes_know_it(tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), LisaConfig)
    assert isinstance(AutoModel.from_pretrained(tmp_path), LisaModel)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt_head": "none"}, "no prompt head 'none': choose one of"),
        ({"projector": "none"}, "no projector 'none': choose one of"),
        ({"seg_state": "next"}, "seg_state is 'next'"),
        ({"segmenter_config": {"kind": "none"}}, "segmenter kind 'none' is unknown"),
    ],
)
def test_unknown_names_get_a_sentence(change, message: str) -> None:
    fields = {**tiny_config().to_dict(), **change}
    with pytest.raises(ConfigError, match=message):
        LisaModel(LisaConfig(**fields))


def test_no_buffer_is_lost_by_loading(tmp_path) -> None:
    """Loading builds on the meta device, where a buffer that is not stored would stay empty."""
    model = tiny_model()
    own = [
        name
        for name, _ in model.named_buffers()
        if not name.startswith("backbone.") and name not in model.state_dict()
    ]
    assert not own
