"""What `eval.speed train` measures is what it says; how long it takes is no matter here."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from importlib.metadata import entry_points

import pytest
import torch
from torch import Tensor

from eval.speed import BENCHMARK_GROUP
from lisa.released.config import PartTypes
from lisa.released.empty_model import build_empty
from lisa.released.layouts import released_frequencies, released_tensors
from lisa.released.random_model import LISA_7B, ModelSizes, language_sizes, vision_sizes
from tests.encoder_calls import encoder_calls
from tests.unit.segmenters import tiny_sam
from training import benchmark
from training.benchmark import Trained, compare, measure_apart
from training.benchmark_shapes import (
    Shape,
    build_model,
    random_batch,
)
from training.original_step import OriginalSums
from training.step import LossSumsOf

TINY = Shape(
    ModelSizes(
        language=language_sizes(64, 96, 2, 2, 60),
        vision=vision_sizes(16, 24, 3, 2, image_size=28),
        segmenter=tiny_sam.CONFIG,
        types=PartTypes(torch.float32, torch.float32),
    ),
    question=6,
    answer=4,
)
HALF = replace(TINY, sizes=replace(TINY.sizes, types=LISA_7B.types))
CPU_DEVICE = torch.device("cpu")
NUMBERS = {"samples", "tokens", "peak_memory"}


def test_both_steps_learn_the_same() -> None:
    model = build_model(TINY, CPU_DEVICE)
    ours = Trained(TINY, copy.deepcopy(model), LossSumsOf)
    original = Trained(TINY, model, OriginalSums)
    for _ in range(3):
        one, other = ours.step(), original.step()
        for name in ("loss", "text", "bce", "dice", "norm"):
            assert one[name] == pytest.approx(other[name], rel=1e-4), name
        assert one["bce"] > 0 and one["text"] > 0


def test_they_differ_in_what_they_run() -> None:
    seen = []
    for wrap in (LossSumsOf, OriginalSums):
        model = build_model(TINY, CPU_DEVICE)
        model.frames_at_once = 8  # as on GPUs
        wrapped = wrap(model)
        frames = encoder_calls(model.segmenter.image_encoder)
        towers = encoder_calls(model.backbone.model.vision_tower)
        sums: Tensor = wrapped(random_batch(TINY, model.config))
        seen.append((frames, towers))
        assert torch.isfinite(sums).all()
    assert seen == [([2], [2]), ([1, 1], [6])]
    assert model.backbone.model.language_model.config._attn_implementation == "eager"


def test_numbers_by_name() -> None:
    found = compare(TINY, 0, 1)
    assert found.keys() == NUMBERS
    for one in found.values():
        assert math.isfinite(one.median) and one.median > 0
        assert one.ratio is not None and one.ratio > 0


def test_the_entry_point_measures_the_shape_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = (one for one in entry_points(group=BENCHMARK_GROUP) if one.name == "train")
    monkeypatch.setattr(benchmark, "CPU", TINY)
    monkeypatch.setattr(benchmark, "STEPS", 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = entry.load()()
    assert not [name for name in found if name.startswith("qlora")]


@pytest.mark.parametrize("quantize", [None, "4bit"])
def test_the_larger_shapes_measurement_at_a_tiny_size(quantize: str | None) -> None:
    """On the CPU, with all that the 7B shape asks for: 4 bits, bfloat16, checkpointing."""
    if quantize:
        pytest.importorskip("bitsandbytes")
    shape = replace(HALF, quantize=quantize, gradient_checkpointing=True)
    found = measure_apart(shape, "cpu", 1, 1)
    assert found.keys() == NUMBERS
    assert all(math.isfinite(one.median) and one.median > 0 for one in found.values())


def test_only_the_language_model_is_in_four_bits() -> None:
    bits = pytest.importorskip("bitsandbytes")
    model = build_model(replace(HALF, quantize="4bit"), CPU_DEVICE)
    packed = {name for name, one in model.named_modules() if isinstance(one, bits.nn.Linear4bit)}
    assert len(packed) == 2 * 7
    assert all(".language_model." in name for name in packed)
    assert not any(one.is_meta for one in [*model.parameters(), *model.buffers()])


def test_the_7b_shape_is_lisas() -> None:
    """Its weights in the published layout take as many bytes as the published files."""
    types = PartTypes(torch.bfloat16, torch.float32)
    model = build_empty(replace(LISA_7B, types=types).config(), types)
    layout = {**released_tensors(model), **released_frequencies(model)}
    assert len(layout) == 923
    assert sum(one.num_bytes for one in layout.values()) == 16_120_985_792


def test_peak_memory_is_what_a_step_adds_at_its_highest() -> None:
    def run() -> None:
        for _ in range(3):
            torch.zeros(1000, 250).add(1)  # two of a million bytes at once

    assert benchmark._allocated(run) == pytest.approx(2e6, rel=0.01)
