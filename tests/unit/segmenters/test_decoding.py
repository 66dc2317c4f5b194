"""Prompts to masks: equal to Meta's, whatever images the prompts of a batch belong to."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lisa.errors import PromptError
from lisa.models.segmenters import MaskOutputs, MaskPrompts, SamSegmenter, SegmenterFeatures
from lisa.models.segmenters.mask_decoder import MaskDecoder
from lisa.models.segmenters.prompt_encoder import PromptEncoder
from tests.unit.segmenters.tiny_sam import CONFIG, meta_sam, randomise, tiny_sam

C, SIDE = CONFIG.prompt_dim, CONFIG.grid_size
LOW = 4 * SIDE


@pytest.fixture
def sam() -> SamSegmenter:
    return tiny_sam()


@pytest.fixture
def features() -> SegmenterFeatures:
    return SegmenterFeatures(_random(3, C, SIDE, SIDE))


def _random(*shape: int, seed: int = 5) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _prompts(count: int) -> dict[str, MaskPrompts]:
    """Every make-up of prompts, for ``count`` of them."""
    points = CONFIG.image_size * _random(count, 2, 2).abs() / 3
    labels = torch.tensor([[1, 0], [1, -1], [0, 1], [1, 1]])[:count]
    corner = CONFIG.image_size * _random(count, 2, seed=6).abs() / 3
    boxes = torch.cat([corner, corner + 20], dim=1)
    masks, dense = _random(count, 1, LOW, LOW), _random(count, C, SIDE, SIDE)
    sparse = _random(count, 1, C)
    return {
        "none": MaskPrompts(),
        "points": MaskPrompts(points=points, point_labels=labels),
        "boxes": MaskPrompts(boxes=boxes),
        "masks": MaskPrompts(masks=masks),
        "all of SAM's": MaskPrompts(points=points, point_labels=labels, boxes=boxes, masks=masks),
        "sparse": MaskPrompts(sparse=sparse),
        "sparse and dense": MaskPrompts(sparse=sparse, dense=dense),
        "point and sparse": MaskPrompts(points=points, point_labels=labels, sparse=sparse),
    }


def _rows(prompts: MaskPrompts, row: int) -> MaskPrompts:
    return MaskPrompts(
        **{k: v if v is None else v[row : row + 1] for k, v in vars(prompts).items()}
    )


def _assert_equal(actual: MaskOutputs, expected: MaskOutputs) -> None:
    for name in ("logits", "iou", "mask_tokens"):
        torch.testing.assert_close(
            getattr(actual, name), getattr(expected, name), atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("make_up", list(_prompts(1)))
@pytest.mark.parametrize("multimask", [False, True])
@torch.no_grad()
def test_prompts_of_mixed_images_equal_one_by_one(
    sam: SamSegmenter, features: SegmenterFeatures, make_up: str, multimask: bool
) -> None:
    index = torch.tensor([2, 0, 2, 1])
    prompts = _prompts(4)[make_up]
    together = sam.decode(features, index, prompts, multimask=multimask)
    count = 3 if multimask else 1
    assert together.logits.shape == (4, count, LOW, LOW)
    assert together.iou.shape == (4, count)
    assert together.mask_tokens.shape == (4, count, C)
    for row, image in enumerate(index):
        alone = sam.decode(
            features.select(image[None]),
            torch.zeros(1, dtype=torch.long),
            _rows(prompts, row),
            multimask=multimask,
        )
        part = MaskOutputs(**{k: v[row : row + 1] for k, v in vars(together).items()})
        _assert_equal(part, alone)


@pytest.mark.parametrize("make_up", ["none", "points", "boxes", "masks", "all of SAM's"])
@pytest.mark.parametrize("multimask", [False, True])
@torch.no_grad()
def test_decoding_equals_the_original(
    sam: SamSegmenter, features: SegmenterFeatures, make_up: str, multimask: bool
) -> None:
    count = 1 if make_up == "none" else 3
    prompts = _prompts(count)[make_up]
    meta = meta_sam(sam)
    points = None if prompts.points is None else (prompts.points, prompts.point_labels)
    sparse, dense = meta.prompt_encoder(points, prompts.boxes, prompts.masks)
    logits, iou = meta.mask_decoder(
        features.embedding[1:2], meta.prompt_encoder.get_dense_pe(), sparse, dense, multimask
    )
    ours = sam.decode(features, torch.ones(count, dtype=torch.long), prompts, multimask=multimask)
    torch.testing.assert_close(ours.logits, logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.iou, iou, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_ready_made_sparse_tokens_come_without_a_padding_point(sam: SamSegmenter) -> None:
    sparse, dense = sam.prompt_encoder(_prompts(2)["sparse"], 2)
    torch.testing.assert_close(sparse, _prompts(2)["sparse"].sparse)
    no_mask = sam.prompt_encoder.no_mask_embed.weight
    torch.testing.assert_close(dense, no_mask.reshape(1, C, 1, 1).expand(2, C, SIDE, SIDE))


@torch.no_grad()
def test_dense_embeddings_take_the_place_of_no_mask(sam: SamSegmenter) -> None:
    prompts = _prompts(2)["sparse and dense"]
    _, dense = sam.prompt_encoder(prompts, 2)
    torch.testing.assert_close(dense, prompts.dense)


def test_gradients_reach_ready_made_prompts(sam: SamSegmenter, features: SegmenterFeatures) -> None:
    sam.requires_grad_(False)
    sparse = _random(2, 1, C).requires_grad_()
    dense = _random(2, C, SIDE, SIDE).requires_grad_()
    masks = sam.decode(features, torch.tensor([0, 2]), MaskPrompts(sparse=sparse, dense=dense))
    masks.logits.square().sum().backward()
    for value in (sparse, dense):
        assert value.grad is not None
        assert (value.grad.flatten(1).abs().amax(dim=1) > 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make_up", list(_prompts(1)))
@torch.no_grad()
def test_half_precision_weights(
    sam: SamSegmenter, features: SegmenterFeatures, dtype: torch.dtype, make_up: str
) -> None:
    index, prompts = torch.tensor([0, 1]), _prompts(2)[make_up]
    expected = sam.decode(features, index, prompts).logits
    sam.to(dtype)
    assert sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.dtype == dtype
    masks = sam.decode(features, index, prompts)  # float32 features and prompts are cast
    assert masks.logits.dtype == dtype
    assert masks.logits.isfinite().all()
    assert (masks.logits.float() - expected).abs().mean() < 0.2 * expected.abs().mean()


@torch.no_grad()
def test_positions_stay_exact_under_autocast(sam: SamSegmenter) -> None:
    expected = sam.prompt_encoder.get_dense_pe()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(sam.prompt_encoder.get_dense_pe(), expected)


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("make_up", list(_prompts(1)))
def test_no_prompts_give_empty_outputs(
    sam: SamSegmenter, features: SegmenterFeatures, multimask: bool, make_up: str
) -> None:
    prompts = _prompts(1)[make_up]
    nothing = MaskPrompts(**{k: v if v is None else v[:0] for k, v in vars(prompts).items()})
    index = torch.zeros(0, dtype=torch.long)
    masks = sam.decode(features, index, nothing, multimask=multimask)
    count = 3 if multimask else 1
    assert masks.logits.shape == (0, count, LOW, LOW)
    assert masks.iou.shape == (0, count)
    assert masks.mask_tokens.shape == (0, count, C)
    masks.logits.sum().backward()  # the graph is whole, which distributed training needs


@torch.no_grad()
def test_parts_take_any_width_and_grid() -> None:
    grid, frame = (4, 6), (64, 96)
    encoder, decoder = PromptEncoder(128, grid, frame), MaskDecoder(128, mlp_dim=64)
    both = nn.ModuleList([encoder, decoder])
    randomise(both, seed=1)
    sparse, dense = encoder(MaskPrompts(boxes=torch.tensor([[1.0, 2.0, 90.0, 60.0]])), 1)
    masks = decoder(_random(1, 128, *grid), encoder.get_dense_pe(), sparse, dense, multimask=True)
    assert masks.logits.shape == (1, 3, 16, 24)
    assert masks.mask_tokens.shape == (1, 3, 128)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"boxes": torch.zeros(3, 4)}, "boxes has shape (3, 4), wanted (2, 4)"),
        ({"boxes": torch.zeros(2, 2, 2)}, "boxes has shape"),
        ({"sparse": torch.zeros(2, C)}, "sparse has shape"),
        ({"sparse": torch.zeros(2, 1, C + 1)}, "sparse has shape"),
        ({"dense": torch.zeros(2, C, 1, 1)}, "dense has shape"),
        ({"masks": torch.zeros(2, 1, SIDE, SIDE)}, "masks has shape"),
        (
            {"points": torch.zeros(2, 3, 2), "point_labels": torch.zeros(2, 1)},
            "point_labels has shape (2, 1), wanted (2, 3)",
        ),
    ],
)
def test_a_shape_that_does_not_fit_is_named(
    sam: SamSegmenter, features: SegmenterFeatures, fields: dict[str, Any], fault: str
) -> None:
    with pytest.raises(PromptError) as error:
        sam.decode(features, torch.tensor([0, 1]), MaskPrompts(**fields))
    assert fault in str(error.value)


def test_contradicting_fields_are_refused() -> None:
    with pytest.raises(PromptError, match="points and point labels|Points and point labels"):
        MaskPrompts(points=torch.zeros(1, 1, 2))
    with pytest.raises(PromptError, match="not both"):
        MaskPrompts(masks=torch.zeros(1, 1, 4, 4), dense=torch.zeros(1, 8, 1, 1))


def test_features_of_another_segmenter_are_refused(sam: SamSegmenter) -> None:
    other = SegmenterFeatures(torch.zeros(1, C, SIDE + 1, SIDE + 1))
    with pytest.raises(PromptError, match="encode the image with it"):
        sam.decode(other, torch.tensor([0]), MaskPrompts())


def test_features_select_move_and_join(features: SegmenterFeatures) -> None:
    chosen = features.select(torch.tensor([2, 2, 0]))
    assert len(chosen) == 3
    torch.testing.assert_close(chosen.embedding[1], features.embedding[2])
    assert features.to(dtype=torch.bfloat16).embedding.dtype == torch.bfloat16
    joined = SegmenterFeatures.concat([features, chosen])
    torch.testing.assert_close(joined.embedding[3:], chosen.embedding)
