from __future__ import annotations

import torch

from lisa.base_weights import LANGUAGE_MODEL, merge_delta
from lisa.models import LisaModel
from lisa.models.backbone import embed, last_states
from tests.tiny import SEG_ID, VOCABULARY
from tests.tiny_nano import LAYERS, NEW_ROWS, nano_config, nano_model
from training.lora import LanguageAdapter

RANK, ALPHA = 4, 8
IDS = torch.tensor([[5, 9, SEG_ID, 11, SEG_ID + 1, 3], [7, 7, 8, SEG_ID, 4, 5]])


def trained_adapter(model: LisaModel) -> LanguageAdapter:
    """An adapter whose every tensor is far from where it started."""
    adapter = LanguageAdapter(model.backbone, RANK, ALPHA, NEW_ROWS)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in adapter.parameters().values():
            parameter.normal_(std=0.3)
    return adapter


@torch.no_grad()
def outputs(model: LisaModel, ids: torch.Tensor = IDS) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and last states of plain text."""
    with last_states(model.backbone) as steps:
        logits = model.backbone(input_ids=ids, use_cache=False).logits
    return logits, steps[-1]


def language_tensors(model: LisaModel) -> dict[str, torch.Tensor]:
    part = model.get_submodule(LANGUAGE_MODEL.rstrip("."))
    return {name: tensor.clone() for name, tensor in part.state_dict().items()}


def base_of(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the language model's own file holds: without the rows of new tokens."""
    table = tensors["embed_tokens.weight"]
    return {**tensors, "embed_tokens.weight": table[: len(table) - NEW_ROWS]}


def test_the_delta_says_what_the_adapter_does() -> None:
    model = nano_model()
    base, whole = base_of(language_tensors(model)), model.state_dict()
    rest = {
        n: t.clone() for n, t in whole.items() if not n.startswith((LANGUAGE_MODEL, "backbone.lm_"))
    }
    adapter = trained_adapter(model)
    expected = outputs(model)
    delta = {LANGUAGE_MODEL + name: tensor for name, tensor in adapter.delta().items()}
    merged = LisaModel(nano_config()).eval()
    report = merged.load_state_dict(
        merge_delta({**delta, **rest}, base, ALPHA / RANK), strict=False
    )
    assert report.missing_keys == ["backbone.lm_head.weight"]  # tied
    assert not report.unexpected_keys
    for one, other in zip(outputs(merged), expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(outputs(nano_model())[0], expected[0], atol=0.1)


def test_a_fresh_adapter_changes_nothing() -> None:
    model = nano_model()
    before = outputs(model)
    LanguageAdapter(model.backbone, RANK, ALPHA, NEW_ROWS)
    for one, other in zip(outputs(model), before, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_new_rows_count_at_both_ends_and_no_others() -> None:
    model = nano_model()
    adapter = LanguageAdapter(model.backbone, RANK, ALPHA, NEW_ROWS)
    plain = torch.tensor([[5, 9, 11, 3]])
    logits, states = outputs(model, plain)
    seg_states = outputs(model, IDS)[1]
    with torch.no_grad():
        adapter.new_rows += 1.0
    moved, same_states = outputs(model, plain)
    assert torch.equal(states, same_states)
    assert torch.equal(moved[..., :SEG_ID], logits[..., :SEG_ID])
    expected = states @ adapter.new_rows.T
    torch.testing.assert_close(moved[..., SEG_ID:], expected)
    moved_states = outputs(model, IDS)[1]
    first = [int((row >= SEG_ID).nonzero()[0]) for row in IDS]
    for row, place in enumerate(first):
        assert torch.equal(moved_states[row, :place], seg_states[row, :place])
        assert not torch.allclose(moved_states[row, place], seg_states[row, place])


def test_only_named_parameters_get_gradients() -> None:
    model = nano_model()
    model.requires_grad_(False)
    adapter = trained_adapter(model)
    parameters = adapter.parameters()
    assert len(parameters) == LAYERS * 7 * 2 + 1
    assert parameters["embed_tokens.new_rows"].shape == (NEW_ROWS, 32)
    model.requires_grad_(False)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    model.backbone(input_ids=IDS, use_cache=False).logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in parameters.values())
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in parameters.values())
    learning = {id(parameter) for parameter in parameters.values()}
    others = [
        n for n, p in model.named_parameters() if p.grad is not None and id(p) not in learning
    ]
    assert not others


def test_the_table_itself_is_not_copied() -> None:
    model = nano_model()
    adapter = LanguageAdapter(model.backbone, RANK, ALPHA, NEW_ROWS)
    assert len(model.backbone.get_input_embeddings().weight) == VOCABULARY
    sizes = sum(tensor.numel() for tensor in adapter.delta().values())
    assert sizes == sum(p.numel() for p in adapter.parameters().values())
    names = {name.rsplit(".", 1)[-1] for name in adapter.delta()}
    assert names == {"lora_A", "lora_B", "new_rows"}


def test_image_tokens_stay_as_they_are() -> None:
    model = nano_model()
    ids = torch.tensor([[5, -200, -200, 9, SEG_ID]])
    tokens = torch.ones(2, 32)
    before = embed(model.backbone, ids, -200, [tokens])
    LanguageAdapter(model.backbone, RANK, ALPHA, NEW_ROWS)
    torch.testing.assert_close(embed(model.backbone, ids, -200, [tokens]), before)
