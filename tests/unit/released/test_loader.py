from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lisa.errors import CheckpointError, ConfigError, MissingDependencyError
from lisa.models import LisaModel
from lisa.released import is_released_layout, load_released
from lisa.released.config import PartTypes
from lisa.released.key_map import is_ignored, to_ours
from tests.unit.released.checkpoints import (
    ADDED,
    MIXED,
    Format,
    Sizes,
    Written,
    write_checkpoint,
    write_file,
    write_weights,
)

FORMATS: tuple[Format, ...] = ("bin", "old_bin", "safetensors")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_checkpoint(tmp_path_factory.mktemp("released"))


@pytest.fixture
def copy(tiny: Written, tmp_path: Path) -> Written:
    """A copy of the tiny checkpoint that a test may damage."""
    shutil.copytree(tiny.folder, tmp_path / "checkpoint")
    shutil.copytree(tiny.tower, tmp_path / "tower")
    return Written(
        tmp_path / "checkpoint", tmp_path / "tower", dict(tiny.tensors), dict(tiny.tower_tensors)
    )


def assert_holds(model: LisaModel, written: Written, types: PartTypes = MIXED) -> None:
    """Every weight of both sets of files stands in the model, in its half's number type."""
    state = model.state_dict()
    wanted: dict[str, Tensor] = {}
    for name, tensor in written.tensors.items():
        if not is_ignored(name):
            wanted[to_ours(name) or name] = tensor
    for name, tensor in written.tower_tensors.items():
        wanted[f"backbone.model.vision_tower.{name.removeprefix('vision_model.')}"] = tensor
    assert set(state) == set(wanted)
    for name, tensor in wanted.items():
        assert state[name].dtype == types.of(name), name
        assert torch.equal(state[name], tensor.to(types.of(name))), name
    assert not any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    assert not model.training


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("shards", [1, 3])
def test_every_file_format(tmp_path: Path, kind: Format, shards: int) -> None:
    written = write_checkpoint(tmp_path, kind=kind, shards=shards)
    assert is_released_layout(written.folder)
    model, processor = load_released(written.folder, vision_tower=written.tower)
    assert_holds(model, written)
    assert model.config.seg_token_id == processor.tokenizer.convert_tokens_to_ids("[SEG]") == 303
    assert processor.settings.image_tokens == 4
    rotary = model.backbone.base_model.language_model.rotary_emb.inv_freq
    assert rotary[0] == 1, "computed from the configuration, not read from the file"


def test_number_types_can_be_chosen(tiny: Written) -> None:
    chosen = PartTypes(torch.float32, torch.bfloat16)
    model, _ = load_released(
        tiny.folder, vision_tower=tiny.tower, dtype="float32", segmenter_dtype=torch.bfloat16
    )
    assert_holds(model, tiny, chosen)
    assert model.segmenter_dtype == torch.bfloat16
    with pytest.raises(ConfigError, match="no number type"):
        load_released(tiny.folder, vision_tower=tiny.tower, dtype="float3")


@pytest.mark.parametrize("projector", ["linear", "backbone"])
def test_the_projector_is_decided_by_keys(tmp_path: Path, projector: str) -> None:
    # Some fine-tuned models have a configuration that names the other projector.
    sizes = Sizes(projector=projector, extra_config={"mm_projector_type": "mlp2x_gelu"})
    written = write_checkpoint(tmp_path, sizes)
    model, _ = load_released(written.folder, vision_tower=written.tower)
    assert model.config.projector == projector
    assert_holds(model, written)


@pytest.mark.parametrize(
    ("added", "seg", "reject"),
    [
        (("[SEG]", "<im_start>", "<im_end>"), 300, None),
        (("[SEG]",), 300, None),
        ((*ADDED, "[REJ]"), 303, 304),
    ],
)
def test_token_ids_come_from_the_tokenizer(
    tmp_path: Path, added: tuple[str, ...], seg: int, reject: int | None
) -> None:
    written = write_checkpoint(tmp_path, Sizes(added=added))
    model, _ = load_released(written.folder, vision_tower=written.tower)
    assert (model.config.seg_token_id, model.config.reject_token_id) == (seg, reject)


def test_template_follows_the_name_or_the_choice(copy: Written, tmp_path: Path) -> None:
    def template(folder: Path, choice: str | None = None) -> str:
        _, processor = load_released(folder, vision_tower=copy.tower, template=choice)
        return processor.settings.template

    assert template(copy.folder) == "llava_v1"
    assert template(copy.folder, "llava_llama_2") == "llava_llama_2"
    renamed = copy.folder.rename(tmp_path / "LISA_Plus_7b")
    assert template(renamed) == "vicuna_v1"


def test_a_whole_clip_serves_as_vision_tower(copy: Written) -> None:
    text_half = {
        "text_model.final_layer_norm.weight": torch.ones(3),
        "text_projection.weight": torch.ones(2, 3),
        "visual_projection.weight": torch.ones(2, 24),
        "logit_scale": torch.tensor(2.6),
        "vision_model.embeddings.position_ids": torch.arange(5)[None],
    }
    write_file(copy.tower / "pytorch_model.bin", {**copy.tower_tensors, **text_half}, "bin")
    vision = json.loads((copy.tower / "config.json").read_text())
    whole = {"model_type": "clip", "vision_config": vision, "text_config": {}}
    (copy.tower / "config.json").write_text(json.dumps(whole))
    model, _ = load_released(copy.folder, vision_tower=copy.tower)
    assert_holds(model, copy)


# --- what does not fit is named ---


def test_missing_unexpected_and_misshapen_weights_are_all_listed(copy: Written) -> None:
    missing = ["lm_head.weight", "model.visual_model.mask_decoder.iou_token.weight"]
    for name in missing:
        del copy.tensors[name]
    copy.tensors["model.vision_tower.extra"] = torch.ones(1)
    copy.tensors["model.norm.weight"] = torch.ones(5)
    for file in copy.folder.glob("*.bin*"):
        file.unlink()
    write_weights(copy.folder, copy.tensors, "bin", 1)
    with pytest.raises(CheckpointError) as error:
        load_released(copy.folder, vision_tower=copy.tower)
    assert f"missing: {', '.join(missing)}" in str(error.value)
    assert "unexpected: model.vision_tower.extra" in str(error.value)
    assert "model.norm.weight (5,) instead of (32,)" in str(error.value)


def test_a_damaged_vision_tower_is_named(copy: Written) -> None:
    copy.tower_tensors.pop("vision_model.post_layernorm.weight")
    write_file(copy.tower / "pytorch_model.bin", copy.tower_tensors, "bin")
    with pytest.raises(
        CheckpointError, match=r"tower.*missing: vision_model.post_layernorm.weight"
    ):
        load_released(copy.folder, vision_tower=copy.tower)


def test_the_vision_tower_must_be_had_and_fit(copy: Written, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"clip-vit-large-patch14.*--vision-tower"):
        load_released(copy.folder, offline=True)
    with pytest.raises(CheckpointError, match="no hub id"):
        load_released(copy.folder, vision_tower=tmp_path / "nowhere")
    config = json.loads((copy.tower / "config.json").read_text())
    (copy.tower / "config.json").write_text(json.dumps({**config, "hidden_size": 48}))
    with pytest.raises(CheckpointError, match="is 48 wide and the checkpoint's projector takes 24"):
        load_released(copy.folder, vision_tower=copy.tower)
    (copy.tower / "config.json").write_text(json.dumps({"model_type": "siglip"}))
    with pytest.raises(CheckpointError, match="must be a CLIP"):
        load_released(copy.folder, vision_tower=copy.tower)


def test_no_seg_token_no_projector_no_sizes(copy: Written) -> None:
    def refusal() -> str:
        with pytest.raises(CheckpointError) as error:
            load_released(copy.folder, vision_tower=copy.tower)
        return str(error.value)

    config = json.loads((copy.folder / "config.json").read_text())
    (copy.folder / "config.json").write_text(
        json.dumps({**config, "mm_vision_select_feature": "x"})
    )
    assert "selects the image features 'x'" in refusal()
    (copy.folder / "config.json").write_text(json.dumps(config))
    added = (copy.folder / "added_tokens.json").read_text()
    (copy.folder / "added_tokens.json").write_text("{}")
    assert "added_tokens.json has no [SEG]" in refusal()
    (copy.folder / "added_tokens.json").write_text(added)
    for file in copy.folder.glob("*.bin*"):
        file.unlink()
    without = {n: t for n, t in copy.tensors.items() if not n.startswith("model.mm_projector")}
    write_weights(copy.folder, without, "bin", 1)
    assert "no known projector" in refusal()
    del config["hidden_size"], config["vocab_size"]
    (copy.folder / "config.json").write_text(json.dumps(config))
    assert "lacks vocab_size, hidden_size" in refusal()
    (copy.folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    assert "not in the layout of the published LISA models" in refusal()
    assert not is_released_layout(copy.folder)
    (copy.folder / "config.json").unlink()
    assert "config.json cannot be read" in refusal()
    assert not is_released_layout(copy.folder)


# --- damaged files ---


def test_damaged_weight_files(copy: Written) -> None:
    def refusal() -> str:
        with pytest.raises(CheckpointError) as error:
            load_released(copy.folder, vision_tower=copy.tower)
        return str(error.value)

    shard = copy.folder / "pytorch_model-00002-of-00003.bin"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    assert "is damaged, incomplete or no weight file" in refusal()
    shard.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "placeholder of git LFS" in refusal()
    shard.unlink()
    assert "lacks pytorch_model-00002-of-00003.bin" in refusal()
    torch.save({"a": [1, 2]}, shard)
    assert "holds other things than named tensors" in refusal()
    torch.save({"a": torch.ones(1)}, shard)
    assert "promises weights that its files lack" in refusal()
    shutil.copy(copy.folder / "pytorch_model-00001-of-00003.bin", shard)
    assert "in two files" in refusal()
    index = copy.folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.bin"}}))
    assert "names ../elsewhere.bin" in refusal()
    index.write_text("{}")
    assert "is not an index of weights" in refusal()
    index.unlink()
    assert "holds no weights" in refusal()
    (copy.folder / "model.safetensors").write_bytes(b"\x00" * 64)
    assert "is damaged" in refusal()


def test_a_pickle_that_would_run_code_is_not_run(copy: Written, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    for file in copy.folder.glob("*.bin*"):
        file.unlink()
    torch.save({"a": Harmful()}, copy.folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="is damaged, incomplete or no weight file"):
        load_released(copy.folder, vision_tower=copy.tower)
    assert not (tmp_path / "ran").exists()


# --- few bits ---


@pytest.mark.parametrize("quantize", ["4bit", "8bit"])
def test_only_the_language_models_layers_are_quantised(tiny: Written, quantize: str) -> None:
    pytest.importorskip("bitsandbytes")
    exact, processor = load_released(tiny.folder, vision_tower=tiny.tower, dtype="float32")
    model, _ = load_released(
        tiny.folder, vision_tower=tiny.tower, dtype="float32", quantize=quantize
    )
    language = model.backbone.base_model.language_model
    few_bits = {
        name for name, module in model.named_modules() if type(module).__name__.startswith("Linear")
    } - {name for name, module in model.named_modules() if type(module) is nn.Linear}
    prefix = "backbone.model.language_model.layers."
    quantised = {name for name in few_bits if name.startswith(prefix)}
    assert len(quantised) == 7 * len(language.layers)
    for name, parameter in model.named_parameters():
        if name.removesuffix(".weight") not in quantised:
            assert parameter.dtype == torch.float32, name
            assert torch.equal(parameter, exact.get_parameter(name)), name
    ids = torch.tensor([processor.tokenizer.encode("Can you segment the red cup?")])
    with torch.no_grad():
        rough, fine = (m.backbone(input_ids=ids).logits for m in (model, exact))
    similarity = torch.cosine_similarity(rough.flatten(), fine.flatten(), dim=0)
    assert similarity > (0.9 if quantize == "4bit" else 0.99)


def test_quantising_needs_a_known_kind_and_its_package(
    tiny: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="choose one of 4bit, 8bit"):
        load_released(tiny.folder, vision_tower=tiny.tower, quantize="2bit")
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingDependencyError, match=r"lisa-assistant\[quant\]"):
        load_released(tiny.folder, vision_tower=tiny.tower, quantize="4bit")
