"""A released-layout test case, loaded: its tensors, its model, and how its inputs become ours."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lisa.models import EncodedImage, LisaModel, LisaOutput
from lisa.processor import LisaProcessor
from lisa.released import load_released
from lisa.tokens import IGNORE_INDEX
from lisa.types import ImageSize
from tests.parity.golden import Case

PLACEHOLDER = -200  # how the test vectors write a picture


@dataclass(frozen=True)
class Setup:
    """A loaded case: everything is read from its files, nothing from its name."""

    case: Case
    model: LisaModel
    processor: LisaProcessor
    inputs: dict[str, Tensor]
    expected: dict[str, Tensor]
    prompts: dict

    def image(self, index: int) -> EncodedImage:
        """Picture `index`, encoded from the stored pixels."""
        with torch.no_grad():
            return self.model.encode_images(
                self.inputs[f"clip_pixels.{index}"][None],
                self.inputs[f"sam_pixels.{index}"][None],
                original_sizes=[ImageSize(*self.inputs["original_hw"][index].tolist())],
                resized_sizes=[ImageSize(*self.inputs["resize_hw"][index].tolist())],
            )[0]

    def expand(self, ids: Tensor, values: Tensor, fill: int | bool | None) -> Tensor:
        """Widen each picture's one id to its image tokens, in `values` (rows as `ids`)."""
        count = self.processor.settings.image_tokens
        rows = []
        for row_ids, row in zip(ids.tolist(), values.tolist(), strict=True):
            rows.append(
                [
                    one
                    for idx, value in zip(row_ids, row, strict=True)
                    for one in ([fill] * count if idx == PLACEHOLDER else [value])
                ]
            )
        return torch.tensor(rows)

    def forward(
        self, ids: Tensor, mask: Tensor, image_index: list[int], **more: object
    ) -> LisaOutput:
        """Run conversations, given as the test vectors give them."""
        used = sorted(set(image_index))
        with torch.no_grad():
            return self.model(
                self.expand(ids, ids, self.model.config.image_token_id),
                self.expand(ids, mask, True),
                images=[self.image(i) for i in used],
                image_index=torch.tensor([used.index(i) for i in image_index]),
                **more,
            )

    def check(self, name: str, actual: Tensor) -> None:
        """Compare a tensor with the stored one of that name: shape, then values."""
        expected = self.expected[name]
        assert actual.shape == expected.shape, name
        self.case.assert_close(name, actual.float(), expected)


@functools.lru_cache(maxsize=2)
def _load(path: Path, dtype: torch.dtype) -> tuple[LisaModel, LisaProcessor]:
    return load_released(
        path / "checkpoint",
        vision_tower=path / "vision_tower",
        dtype=dtype,
        segmenter_dtype=dtype,
    )


def setup_of(case: Case, outputs: str = "outputs.safetensors", dtype=torch.float32) -> Setup:
    model, processor = _load(case.path, dtype)
    prompts = json.loads((case.path / "prompts.json").read_text(encoding="utf-8"))
    return Setup(
        case, model, processor, case.tensors("inputs.safetensors"), case.tensors(outputs), prompts
    )


def images_of_rows(offset: Tensor) -> list[int]:
    counts = offset.diff().tolist()
    return [image for image, count in enumerate(counts) for _ in range(count)]


def train_output(setup: Setup, rows: list[int] | None = None) -> LisaOutput:
    """The training batch, or some of its rows with the padding of all."""
    inputs = setup.inputs
    ids, labels = inputs["input_ids"], inputs["labels"]
    index = images_of_rows(inputs["offset"])
    seg_id = setup.model.config.seg_token_id
    masks, taken = [], [0] * len(inputs["original_hw"])
    for row, image in enumerate(index):
        count = int((ids[row] == seg_id).sum())
        begin = taken[image]
        taken[image] += count
        masks.append(inputs[f"gt_masks.{image}"][begin : begin + count].float())
    chosen = list(range(len(ids))) if rows is None else rows
    return setup.forward(
        ids[chosen],
        inputs["attention_mask"][chosen],
        [index[row] for row in chosen],
        labels=setup.expand(ids[chosen], labels[chosen], IGNORE_INDEX),
        gt_masks=[masks[row] for row in chosen],
    )


def by_image(setup: Setup, output: LisaOutput) -> dict[int, list[int]]:
    index = images_of_rows(setup.inputs["offset"])
    groups: dict[int, list[int]] = {i: [] for i in range(len(setup.inputs["original_hw"]))}
    for seg, row in enumerate(output.seg_positions[:, 0].tolist()):
        groups[index[row]].append(seg)
    return groups
