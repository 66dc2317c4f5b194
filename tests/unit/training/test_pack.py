"""A packed model beside its language model gives what was trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lisa import base_weights
from lisa.base_weights import DELTA_FILE, LANGUAGE_MODEL, load_base, materialize, untrained_model
from lisa.models import LisaModel
from lisa.pipeline import LisaPipeline
from lisa.processor import LisaProcessor
from lisa.types import Conversation
from tests.tiny import SEG_ID, picture
from tests.tiny_nano import BASE, NEW_ROWS, encode, nano_config, nano_model, nano_processor
from training.lora import LanguageAdapter
from training.nano.pack import pack
from training.nano.recipe import read_recipe

RANK, ALPHA = 4, 8


def base_tensors() -> dict[str, torch.Tensor]:
    """What the language model's own file holds: no rows for new tokens."""
    part = nano_model().get_submodule(LANGUAGE_MODEL.rstrip("."))
    tensors = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    tensors["embed_tokens.weight"] = tensors["embed_tokens.weight"][:-NEW_ROWS].clone()
    return tensors


@pytest.fixture(autouse=True)
def _base_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LISA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base_weights, "find_base_file", lambda base: Path("none"))
    monkeypatch.setattr(base_weights, "language_model_tensors", lambda path: base_tensors())


@pytest.fixture
def trained(tmp_path: Path) -> tuple[LisaModel, Path]:
    """A model with a trained adapter, and the folder that it was packed into."""
    model = nano_model()
    adapter = LanguageAdapter(model.backbone, RANK, ALPHA, NEW_ROWS)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in adapter.parameters().values():
            parameter.normal_(std=0.1)
    log = tmp_path / "work" / "decoder" / "log.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text('{"step": 0}\n')
    out = tmp_path / "nano"
    (out / "demo").mkdir(parents=True)
    (out / "demo" / "picture.txt").write_text("stays")
    recipe = read_recipe([f"lora_rank={RANK}", f"lora_alpha={ALPHA}"])
    pack(model, nano_processor(), adapter, recipe, out, [log])
    return model, out


def asked(processor: LisaProcessor) -> torch.Tensor:
    conversation = Conversation().ask("Where is the cow?", image_index=0)
    return torch.tensor([[*processor.encode_conversation(conversation), 40, SEG_ID, 41]])


@torch.no_grad()
def outputs(model: LisaModel) -> tuple[torch.Tensor, torch.Tensor]:
    processor = nano_processor()
    images = encode(model, processor, [picture(40, 64)])
    output = model.eval()(asked(processor), images=images)
    return output.logits, output.mask_logits[0]


def test_the_packed_model_answers_like_the_trained_one(trained) -> None:
    model, out = trained
    loaded = LisaModel.from_pretrained(materialize(out))
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert not [name for name, _ in loaded.named_parameters() if "lora" in name]
    for found, expected in zip(outputs(loaded), outputs(model), strict=True):
        # Kept in half precision, on which a dozen layers of large random weights stand.
        torch.testing.assert_close(found, expected, atol=1e-2 * expected.abs().max(), rtol=0)


def test_the_pipeline_takes_the_folder(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    _, out = trained
    pipeline = LisaPipeline.from_pretrained(out, device="cpu")
    prediction = pipeline(picture(40, 64), "Where is the cow?", max_new_tokens=3)
    assert isinstance(prediction.text, str)
    monkeypatch.setattr(base_weights, "language_model_tensors", lambda path: 1 / 0)
    LisaPipeline.from_pretrained(out, device="cpu")  # from the cache


def test_what_the_folder_holds(trained) -> None:
    model, out = trained
    assert {path.name for path in out.iterdir()} >= {
        DELTA_FILE,
        "config.json",
        "processor_config.json",
        "recipe.json",
        "log_decoder.jsonl",
    }
    assert (out / "demo" / "picture.txt").read_text() == "stays"
    assert not [path for path in out.iterdir() if path.is_dir() and path.name != "demo"]
    config = json.loads((out / "config.json").read_text())
    assert config["base_language_model"] == BASE
    assert json.loads((out / "recipe.json").read_text())["lora_rank"] == RANK
    delta = load_file(out / DELTA_FILE)
    assert {t.dtype for t in delta.values() if t.is_floating_point()} == {torch.float16}
    of_language = {name for name in delta if name.startswith(LANGUAGE_MODEL)}
    assert {name.rsplit(".", 1)[-1] for name in of_language} == {"lora_A", "lora_B", "new_rows"}
    others = [n for n in model.state_dict() if not n.startswith((LANGUAGE_MODEL, "backbone.lm_"))]
    assert delta.keys() - of_language == set(others)
    bytes_of_others = sum(2 * model.state_dict()[name].numel() for name in others)
    assert sum(2 * delta[name].numel() for name in delta.keys() - of_language) == bytes_of_others


def test_packing_again_takes_the_place_of_the_first(trained) -> None:
    model, out = trained
    before = materialize(out)
    with torch.no_grad():
        model.mask_projection[0].weight.add_(1)
    adapter = LanguageAdapter(nano_model().backbone, RANK, ALPHA, NEW_ROWS)
    pack(model, nano_processor(), adapter, read_recipe(), out, [])
    assert materialize(out) != before


def test_half_a_conversion_is_never_taken_for_a_whole_one(
    trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out = trained
    with monkeypatch.context() as patched:
        patched.setattr("safetensors.torch.save_file", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            materialize(out)
    assert not list(base_weights.cache_folder().iterdir())
    folder = materialize(out)
    assert (folder / "model.safetensors").exists()
    (folder / "model.safetensors").unlink()
    assert (materialize(out) / "model.safetensors").exists()
    assert [path.name for path in base_weights.cache_folder().iterdir()] == [folder.name]


def test_a_folder_with_all_its_weights_is_returned_as_it_is(tmp_path: Path) -> None:
    nano_model().save_pretrained(tmp_path)
    assert materialize(tmp_path) == tmp_path


def test_the_untrained_model_keeps_what_was_pretrained(trained) -> None:
    model, out = trained
    fresh = untrained_model(out, seed=3)
    assert torch.equal(
        fresh.mask_projection[0].weight, untrained_model(out, seed=3).mask_projection[0].weight
    )
    assert not torch.equal(fresh.mask_projection[0].weight, model.mask_projection[0].weight)
    tower = "backbone.model.vision_tower."
    stored = load_file(out / DELTA_FILE)
    state = fresh.state_dict()
    assert all(
        torch.equal(state[name], tensor.to(state[name].dtype))
        for name, tensor in stored.items()
        if name.startswith(tower)
    )
    base = base_tensors()
    table = state[f"{LANGUAGE_MODEL}embed_tokens.weight"]
    assert torch.equal(table[:-NEW_ROWS], base["embed_tokens.weight"])


def test_rows_of_new_tokens_start_near_the_mean() -> None:
    torch.manual_seed(0)
    model = LisaModel(nano_config())
    load_base(model)
    table = model.backbone.get_input_embeddings().weight.detach()
    mean = table[:-NEW_ROWS].mean(dim=0)
    assert (table[-NEW_ROWS:] - mean).abs().max() < 0.05
    assert not torch.equal(table[-1], table[-2])
    assert (
        model.backbone.get_output_embeddings().weight
        is model.backbone.get_input_embeddings().weight
    )
