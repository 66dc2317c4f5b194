"""How fast SAM's image encoder is beside Meta's own in float32: `python -m eval.speed sam`.

ViT-B, one picture, float32 on the CPU; ViT-H, eight pictures, bfloat16 on a GPU. Both hold the same
random weights and see the same pictures, in turns.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eval.timings.ceiling import measure_ceiling
from eval.timings.memory import added_memory, measure_peak
from eval.timings.original_way import original_image_encoder
from eval.timings.work import count_work
from lisa.measurement import Measurement, in_turns, seconds
from lisa.models.segmenters import PRESETS, SamConfig, SamSegmenter

ROUNDS = 3


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        sizes: Of the segmenter.
        batch: Pictures at once.
        dtype: Of our encoder; the original's is float32.
    """

    sizes: SamConfig
    batch: int
    dtype: torch.dtype


def measure() -> dict[str, Measurement]:
    """Measure the sizes that fit this machine.

    Returns:
        Pictures a second and the memory of a batch, with ratios to the original encoder in float32;
        how far ours is from float64, with the ratio of the original's own error in the same number
        type; and how close ours comes to what the machine can do.
    """
    found: dict[str, Measurement] = {}
    cases = {"vit_b_cpu": ("cpu", Case(_preset("sam_vit_b"), 1, torch.float32))}
    if torch.cuda.is_available():
        cases["vit_h_cuda"] = ("cuda", Case(_preset("sam_vit_h"), 8, torch.bfloat16))
    for name, (device, case) in cases.items():
        numbers = compare(case, torch.device(device))
        found |= {f"{name}_{what}": value for what, value in numbers.items()}
    return found


def compare(case: Case, device: torch.device, rounds: int = ROUNDS) -> dict[str, Measurement]:
    """Measure one size both ways."""
    torch.manual_seed(0)
    encoder = SamSegmenter(case.sizes).image_encoder.to(device).train(False).requires_grad_(False)
    original = original_image_encoder(case.sizes, encoder)
    ours = _copy(encoder, case.dtype)
    side = case.sizes.image_size
    pixels = torch.randn(case.batch, 3, side, side, device=device)
    run = _pass(ours, pixels.to(case.dtype))
    run_original = _pass(original, pixels)
    taken, slow = in_turns((lambda: seconds(run), lambda: seconds(run_original)), rounds)
    rates, slow_rates = ([case.batch / one for one in times] for times in (taken, slow))
    found = {
        "pictures": Measurement.of(rates, "pictures/s", slow_rates, more_is_better=True),
        "error": _errors(ours, original, pixels[:1], case.dtype),
    }
    mine, theirs = measure_peak(run, device), measure_peak(run_original, device)
    if mine is not None and theirs is not None:
        found["memory"] = added_memory(mine, theirs)
    work = count_work(run)
    ceiling = measure_ceiling(device, case.dtype)
    shares = [ceiling.share(work.flops, work.bytes, took) for took in taken]
    return {**found, "share_of_ceiling": Measurement.of(shares, "of the roofline")}


def _preset(name: str) -> SamConfig:
    sizes = PRESETS[name]
    assert isinstance(sizes, SamConfig)
    return sizes


def _copy(encoder: nn.Module, dtype: torch.dtype) -> nn.Module:
    return copy.deepcopy(encoder).to(dtype)


def _pass(encoder: nn.Module, pixels: Tensor) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.no_grad():
            features: Tensor = encoder(pixels)
        return features

    return run


def _errors(
    ours: nn.Module, original: nn.Module, pixels: Tensor, dtype: torch.dtype
) -> Measurement:
    """Compare both, in the same number type, with the original in float64."""
    truth = _pass(_copy(original, torch.float64), pixels.double())()

    def error(encoder: nn.Module) -> float:
        return float((_pass(encoder, pixels.to(dtype))().double() - truth).abs().mean())

    mine, theirs = error(ours), error(_copy(original, dtype))
    scale = float(truth.abs().mean())
    return Measurement.of([mine / scale], "of the mean feature", [theirs / scale])
