from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from eval.timings.work import count_work
from lisa.devices import multiplies_bfloat16
from lisa.errors import CheckpointError
from lisa.models import LisaModel, packed_layers, packing
from lisa.models.packed_layers import PackedLlamaLayers
from lisa.models.packed_weights import (
    HalfMatrix,
    PackedLinear,
    PackedMatrix,
    PackedProduct,
    PlainMatrix,
)
from lisa.models.packing import can_pack_weights, pack_large_weights
from lisa.pipeline import LisaPipeline
from tests.tiny import picture, tiny_model, tiny_processor

pytestmark = pytest.mark.skipif(
    not can_pack_weights(tiny_model().backbone, torch.float32),
    reason="packing pays on x86 CPUs only",
)
either_kind = pytest.mark.parametrize("kind", [PackedMatrix, PlainMatrix])
needs_bfloat16 = pytest.mark.skipif(
    not multiplies_bfloat16(), reason="this processor has no instructions for bfloat16"
)
needs_half = pytest.mark.skipif(
    not can_pack_weights(tiny_model().backbone, torch.float16),
    reason="this torch has no products with weights in float16",
)


@either_kind
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [(1,), (23,), (2, 130), (3, 1, 7)])
def test_a_layer_computes_the_same(
    rows: tuple[int, ...], bias: bool, kind: type[PlainMatrix]
) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 80, bias=bias)
    states = torch.randn(*rows, 48)
    with torch.no_grad():
        packed = PackedLinear(linear, PackedProduct([linear], torch.float32, kind), 0)
        torch.testing.assert_close(packed(states), linear(states))


@either_kind
@needs_bfloat16
@pytest.mark.parametrize("states", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_products_of_bfloat16_round_what_they_multiply(stored, states, kind) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 80).to(stored)
    given = torch.randn(23, 48).to(states)
    with torch.no_grad():
        packed = PackedLinear(linear, PackedProduct([linear], torch.bfloat16, kind), 0)(given)
        exact = linear.float()(given.bfloat16().float())
        rounded = linear.bfloat16().float()(given.bfloat16().float())
    assert packed.dtype == states
    torch.testing.assert_close(packed.float(), rounded, atol=0.02, rtol=2**-8)
    torch.testing.assert_close(packed.float(), exact, atol=0.04, rtol=2**-7)
    # Eight bits, and no more of them.
    assert torch.equal(packed, packed.bfloat16().to(states))


@needs_half
@pytest.mark.parametrize("states", [torch.float32, torch.float16])
@pytest.mark.parametrize("stored", [torch.float32, torch.float16])
@pytest.mark.parametrize("rows", [(1,), (23,), (2, 130)])
def test_products_of_float16_round_weights_and_nothing_else(rows, stored, states) -> None:
    torch.manual_seed(0)
    plain = [nn.Linear(48, size, bias=size > 20).to(stored) for size in (80, 16)]
    given, scale = torch.randn(*rows, 48).to(states), torch.randn(48)
    with torch.no_grad():
        found = HalfMatrix(plain, torch.float16, scale)(given)
        wide = [one.float() for one in plain]
        for one in wide:
            one.weight.copy_((one.weight * scale).half())
        expected = torch.cat([one(given.float()) for one in wide], dim=-1)
    assert found.dtype == states
    torch.testing.assert_close(found, expected.to(states), atol=1e-5, rtol=1e-3)


@either_kind
@pytest.mark.parametrize("scaled", [True, False])
def test_a_matrix_joins_what_its_layers_make_of_scaled_states(
    kind: type[PlainMatrix], scaled: bool
) -> None:
    plain, _ = three_layers()
    states, scale = torch.randn(5, 48), torch.randn(48)
    with torch.no_grad():
        found = kind(plain, torch.float32, scale if scaled else None)(states)
        seen = states * scale if scaled else states
        torch.testing.assert_close(found, torch.cat([one(seen) for one in plain], dim=-1))


def test_a_plain_matrix_copies_no_weights() -> None:
    linear = nn.Linear(48, 80)
    matrix = PlainMatrix([linear, linear], torch.float32, torch.ones(48))
    before = {linear.weight.data_ptr(), linear.bias.data_ptr()}
    assert {one.data_ptr() for part in matrix._parts for one in part if one is not None} == before


def three_layers(
    kind: type[PlainMatrix] = PackedMatrix,
) -> tuple[list[nn.Linear], list[PackedLinear]]:
    torch.manual_seed(1)
    plain = [nn.Linear(48, size, bias=size > 20) for size in (80, 16, 24)]
    product = PackedProduct(plain, torch.float32, kind)
    return plain, [PackedLinear(one, product, place) for place, one in enumerate(plain)]


@either_kind
@settings(deadline=None)
@given(calls=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=20))
def test_layers_that_share_a_product_may_be_asked_in_any_order(
    calls, kind: type[PlainMatrix]
) -> None:
    plain, packed = three_layers(kind)
    seen = torch.randn(3, 5, 48)
    with torch.no_grad():
        for place, number in calls:
            states = seen[number]
            torch.testing.assert_close(packed[place](states), plain[place](states))


@either_kind
def test_a_product_is_computed_once_for_all_its_layers(kind: type[PlainMatrix]) -> None:
    plain, packed = three_layers(kind)
    states, work = torch.randn(5, 48), []
    with torch.no_grad():
        work.append(count_work(lambda: [one(states) for one in plain]).flops)
        work.append(count_work(lambda: [one(states) for one in packed]).flops)
    assert work[0] == work[1]
    assert not packed[0]._product._waiting


def test_threads_do_not_get_each_others_parts() -> None:
    plain, packed = three_layers()

    def ask(number: int) -> None:
        torch.manual_seed(number)
        for _ in range(50):
            states = torch.randn(5, 48)
            with torch.no_grad():
                for one, other in zip(plain, packed, strict=True):
                    torch.testing.assert_close(other(states), one(states))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))


@either_kind
@pytest.mark.parametrize("whole_layers", [True, False])
def test_a_model_answers_the_same(monkeypatch, whole_layers: bool, kind: type[PlainMatrix]) -> None:
    if not whole_layers:
        monkeypatch.setattr(packing, "is_plain_llama_layer", lambda layer: False)
    plain = LisaPipeline(tiny_model(), tiny_processor())
    packed = LisaPipeline(tiny_model(), tiny_processor())
    # There is nothing to gain in a tiny model.
    assert pack_large_weights(packed.model.backbone, torch.float32) == 0
    monkeypatch.setattr(packing, "SMALLEST", 1)
    layers = pack_large_weights(packed.model.backbone, torch.float32, kind)
    kinds = [type(one) for one in packed.model.modules()]
    depth = packed.model.config.backbone.get_text_config().num_hidden_layers
    assert layers == 7 * depth + 1
    if whole_layers:
        assert (kinds.count(PackedLlamaLayers), kinds.count(PackedLinear)) == (1, 1)
    else:
        assert (kinds.count(PackedLlamaLayers), kinds.count(PackedLinear)) == (0, layers)
    for seed in range(3):
        image = picture(33, 50, seed=seed)
        one, other = (each(image, "Where is it?", max_new_tokens=8) for each in (plain, packed))
        assert one.text == other.text
        for a, b in zip(one.segments, other.segments, strict=True):
            assert (a.mask == b.mask).all()


def test_a_layer_is_forgotten_before_the_next_is_packed(monkeypatch) -> None:
    monkeypatch.setattr(packing, "SMALLEST", 1)
    model = tiny_model()
    layers = model.backbone.model.language_model.layers
    weights = [weakref.ref(one.mlp.up_proj.weight) for one in layers]
    alive = []

    class Watched(packed_layers._Layer):
        def __init__(self, *arguments: object) -> None:
            alive.append([one() is not None for one in weights])
            super().__init__(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(packed_layers, "_Layer", Watched)
    pack_large_weights(model.backbone, torch.float32)
    assert alive == [[i >= place for i in range(len(weights))] for place in range(len(weights))]
    assert len(weights) > 1


def test_a_packed_model_is_not_saved_without_its_weights(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(packing, "SMALLEST", 1)
    model = tiny_model()
    pack_large_weights(model.backbone, torch.float32)
    with pytest.raises(CheckpointError, match="pack_weights=False"):
        model.save_pretrained(tmp_path)


def opened(folder, monkeypatch, stored: torch.dtype, **options) -> LisaModel:
    """Save a model with one number type, and load it."""
    monkeypatch.setattr(packing, "SMALLEST", 1)
    model = tiny_model().to(stored)
    model.save_pretrained(folder)
    tiny_processor().save_pretrained(folder)
    return LisaPipeline.from_pretrained(folder, device="cpu", **options).model


def is_packed(model: LisaModel) -> bool:
    return any(isinstance(one, PackedLinear) for one in model.modules())


def number_types(model: LisaModel) -> tuple[torch.dtype, torch.dtype]:
    return model.backbone.dtype, model.segmenter_dtype


def test_pipelines_pack_unless_told_otherwise(monkeypatch, tmp_path) -> None:
    for for_one_answer, kind in ((False, PackedMatrix), (True, PlainMatrix)):
        model = opened(tmp_path, monkeypatch, torch.float32, for_one_answer=for_one_answer)
        assert type(model.backbone.lm_head._product._matrix) is kind
    assert not is_packed(opened(tmp_path, monkeypatch, torch.float32, pack_weights=False))


def kinds_of_products(model: LisaModel) -> set[type[PlainMatrix]]:
    layers = next(one for one in model.modules() if isinstance(one, PackedLlamaLayers))
    return {type(one) for layer in layers._layers for one in (layer._read, layer._contract)}


@needs_half
@pytest.mark.parametrize("has_instructions", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("for_one_answer", [False, True])
def test_half_is_that_of_weights_where_the_model_is_stored_in_float32(
    monkeypatch, tmp_path, for_one_answer: bool, dtype: str, has_instructions: bool
) -> None:
    monkeypatch.setattr(packing, "multiplies_bfloat16", lambda: has_instructions)
    for segmenter, expected in ((None, torch.float32), (dtype, getattr(torch, dtype))):
        options = {"segmenter_dtype": segmenter, "for_one_answer": for_one_answer}
        model = opened(tmp_path, monkeypatch, torch.float32, dtype=dtype, **options)
        assert number_types(model) == (torch.float32, expected)
        assert kinds_of_products(model) == {HalfMatrix}
        # The head chooses words.
        assert model.backbone.lm_head._product._matrix._dtype == torch.float32


@needs_half
@pytest.mark.parametrize("has_instructions", [False, pytest.param(True, marks=needs_bfloat16)])
@pytest.mark.parametrize(
    ("stored", "dtype"),
    [(torch.float16, "float16"), (torch.bfloat16, "bfloat16"), (torch.float32, "bfloat16")],
)
def test_products_are_in_bfloat16_where_states_have_nothing_to_lose(
    monkeypatch, tmp_path, stored: torch.dtype, dtype: str, has_instructions: bool
) -> None:
    monkeypatch.setattr(packing, "multiplies_bfloat16", lambda: has_instructions)
    model = opened(tmp_path, monkeypatch, stored, dtype=dtype)
    assert number_types(model) == (stored, stored)
    rounds_states = has_instructions and stored == torch.bfloat16
    assert kinds_of_products(model) == {PackedMatrix if rounds_states else HalfMatrix}


def test_a_model_in_another_number_type_is_not_packed(monkeypatch, tmp_path) -> None:
    plain = opened(tmp_path, monkeypatch, torch.float32, dtype="bfloat16", pack_weights=False)
    assert not is_packed(plain)
    assert number_types(plain) == (torch.bfloat16, torch.bfloat16)


def test_there_are_no_products_of_other_number_types() -> None:
    assert not can_pack_weights(tiny_model().backbone, torch.float64)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_torch_without_weights_in_half_computes_in_it_plainly(
    monkeypatch, tmp_path, dtype: str
) -> None:
    monkeypatch.setattr(packing, "_has_half_products", lambda: False)
    monkeypatch.setattr(packing, "multiplies_bfloat16", lambda: False)
    model = opened(tmp_path, monkeypatch, torch.float32, dtype=dtype)
    assert not is_packed(model)
    assert number_types(model) == (getattr(torch, dtype), getattr(torch, dtype))


@needs_bfloat16
def test_a_torch_without_weights_in_half_multiplies_in_bfloat16(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(packing, "_has_half_products", lambda: False)
    model = opened(tmp_path, monkeypatch, torch.float32, dtype="bfloat16")
    assert number_types(model) == (torch.float32, torch.float32)
    assert kinds_of_products(model) == {PackedMatrix}
