from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lisa.errors import PromptError
from lisa.models.segmenters import MaskPrompts, build_segmenter
from lisa.models.segmenters.trunk_sam import Neck, TrunkSamConfig, TrunkSamSegmenter

CONFIG = TrunkSamConfig(
    image_size=64,
    skip_channels=(3, 4),
    channels=(6, 10),
    grid_side=8,
    prompt_dim=16,
    decoder_mlp_dim=24,
    mask_in_channels=8,
    refine_dilations=(1, 2),
)


@pytest.fixture(scope="module")
def segmenter() -> TrunkSamSegmenter:
    torch.manual_seed(0)
    built = build_segmenter(CONFIG.to_dict()).eval()
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if "norm" not in name and parameter.ndim > 1:
                parameter.normal_(std=0.3)
    return built


def states(pictures: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(pictures, side * side, channels, generator=generator)
        for side, channels in ((32, 3), (16, 4), (8, 6), (4, 10))
    )


def prompts_of(kind: str, count: int) -> MaskPrompts:
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(count, 2, 2, generator=generator).mul(64).sort(dim=1).values.flatten(1)
    return {
        "points": MaskPrompts(
            points=torch.rand(count, 2, 2, generator=generator) * 64,
            point_labels=torch.tensor([[1, 0]]).expand(count, -1),
        ),
        "boxes": MaskPrompts(boxes=corners),
        "masks": MaskPrompts(masks=torch.randn(count, 1, 32, 32, generator=generator)),
        "both": MaskPrompts(
            sparse=torch.randn(count, 1, 16, generator=generator),
            dense=torch.randn(count, 16, 8, 8, generator=generator),
        ),
    }[kind]


def test_the_configuration_survives_json(segmenter: TrunkSamSegmenter) -> None:
    assert TrunkSamConfig.from_dict(CONFIG.to_dict()) == CONFIG
    assert isinstance(segmenter, TrunkSamSegmenter)
    assert segmenter.source == "vision_tower"
    assert (segmenter.image_size, segmenter.prompt_dim, segmenter.grid) == (64, 16, (8, 8))


def test_the_neck_keeps_places() -> None:
    """A map that is warm in one corner gives features that differ most in that corner."""
    torch.manual_seed(0)
    neck = Neck((6, 10), 16)
    cold = [torch.zeros(1, 6, 8, 8), torch.zeros(1, 10, 4, 4)]
    warm = [one.clone() for one in cold]
    warm[1][:, :, 0, 3] = 3  # coarse cell in the first row, last column
    change = (neck(warm) - neck(cold)).abs().sum(dim=1)[0]
    assert divmod(int(change.argmax()), 8)[0] <= 2
    assert divmod(int(change.argmax()), 8)[1] >= 5
    torch.testing.assert_close(change[5:, :3], torch.zeros(3, 3), atol=1e-5, rtol=0)


def test_encoding_a_batch_is_encoding_each(segmenter: TrunkSamSegmenter) -> None:
    together = segmenter.encode(states(3))
    assert together.embedding.shape == (3, 16, 8, 8)
    assert [tuple(skip.shape) for skip in together.skips] == [(3, 4, 16, 16), (3, 2, 32, 32)]
    for picture in range(3):
        alone = segmenter.encode(tuple(one[picture : picture + 1] for one in states(3)))
        torch.testing.assert_close(alone.embedding[0], together.embedding[picture])
        for one, all_of_them in zip(alone.skips, together.skips, strict=True):
            torch.testing.assert_close(one[0], all_of_them[picture])


# Refinement carries the second map five of its cells further, which are ten of the finest.
@pytest.mark.parametrize(("stage", "reach"), [(0, 8), (1, 16)])
def test_a_fine_map_changes_the_mask_where_it_changes(
    segmenter: TrunkSamSegmenter, stage: int, reach: int
) -> None:
    """The two finest maps skip the transformer: a change in one corner stays in that corner."""
    plain = states(1)
    side = 32 >> stage
    changed = [one.clone() for one in plain]
    changed[stage].unflatten(1, (side, side))[:, : side // 8, -side // 8 :] += 3
    index, prompts = torch.tensor([0]), prompts_of("both", 1)
    before, after = (
        segmenter.decode(segmenter.encode(one), index, prompts).logits for one in (plain, changed)
    )
    difference = (after - before).abs()[0, 0]
    assert difference[:4, -4:].max() > 1e-2
    assert difference[reach:, :].max() < 1e-5
    assert difference[:, :-reach].max() < 1e-5


@pytest.mark.parametrize("kind", ["points", "boxes", "masks", "both"])
@pytest.mark.parametrize("multimask", [False, True])
def test_decoding_a_batch_is_decoding_each(
    segmenter: TrunkSamSegmenter, kind: str, multimask: bool
) -> None:
    features, index = segmenter.encode(states(2)), torch.tensor([1, 0, 1])
    prompts = prompts_of(kind, 3)
    together = segmenter.decode(features, index, prompts, multimask=multimask)
    masks = 3 if multimask else 1
    assert together.logits.shape == (3, masks, 32, 32)
    assert together.iou.shape == (3, masks)
    assert together.mask_tokens.shape == (3, masks, 16)
    for row in range(3):
        given = {
            name: value[row : row + 1] for name, value in vars(prompts).items() if value is not None
        }
        alone = segmenter.decode(
            features, index[row : row + 1], MaskPrompts(**given), multimask=multimask
        )
        torch.testing.assert_close(alone.logits[0], together.logits[row], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["points", "boxes", "masks", "both"])
def test_prompts_and_pictures_matter(segmenter: TrunkSamSegmenter, kind: str) -> None:
    features = segmenter.encode(states(2))
    logits = segmenter.decode(features, torch.tensor([0, 0, 1]), prompts_of(kind, 3)).logits
    assert not torch.allclose(logits[0], logits[1], atol=1e-3)
    same = MaskPrompts(
        **{
            k: v[:1].repeat(2, *[1] * (v.ndim - 1))
            for k, v in vars(prompts_of(kind, 3)).items()
            if v is not None
        }
    )
    logits = segmenter.decode(features, torch.tensor([0, 1]), same).logits
    assert not torch.allclose(logits[0], logits[1], atol=1e-3)


@pytest.mark.parametrize("kind", ["points", "boxes"])
def test_half_precision_draws_too(kind: str) -> None:
    half = build_segmenter(CONFIG.to_dict()).to(torch.bfloat16)
    features = half.encode(tuple(one.bfloat16() for one in states(2)))
    decoded = half.decode(features, torch.tensor([0, 1]), prompts_of(kind, 2))
    assert decoded.logits.dtype == torch.bfloat16


def drawn(segmenter: TrunkSamSegmenter, monkeypatch, prompts: MaskPrompts) -> torch.Tensor:
    """The mask prompt that comes with a point or box, (32, 32)."""
    seen: list[torch.Tensor] = []
    embed = segmenter.prompt_encoder.forward
    monkeypatch.setattr(
        segmenter.prompt_encoder,
        "forward",
        lambda p, count: seen.append(p.masks) or embed(p, count),
    )
    segmenter.decode(segmenter.encode(states(1)), torch.tensor([0]), prompts)
    return seen[0][0, 0]


def test_a_box_is_drawn_where_it_is(segmenter: TrunkSamSegmenter, monkeypatch) -> None:
    box = MaskPrompts(boxes=torch.tensor([[8.0, 16.0, 40.0, 24.0]]))
    expected = torch.zeros(32, 32, dtype=torch.bool)
    expected[8:12, 4:20] = True
    assert torch.equal(drawn(segmenter, monkeypatch, box) > 0, expected)


def test_a_point_is_drawn_where_it_is(segmenter: TrunkSamSegmenter, monkeypatch) -> None:
    """x before y; a point beside the thing makes its place less likely."""
    on, beside = [41.0, 13.0], [10.0, 50.0]
    alone = MaskPrompts(points=torch.tensor([[on]]), point_labels=torch.tensor([[1]]))
    both = MaskPrompts(points=torch.tensor([[on, beside]]), point_labels=torch.tensor([[1, 0]]))
    padded = MaskPrompts(points=torch.tensor([[on, beside]]), point_labels=torch.tensor([[1, -1]]))
    one, two, three = (drawn(segmenter, monkeypatch, p) for p in (alone, both, padded))
    row, column = divmod(int(one.argmax()), 32)
    assert abs(row - 6) <= 1
    assert abs(column - 20) <= 1
    assert int((one - two).argmax()) in range(24 * 32, 27 * 32)
    torch.testing.assert_close(one, three)


def test_fresh_refinement_changes_no_mask(segmenter: TrunkSamSegmenter) -> None:
    plain = build_segmenter(replace(CONFIG, refine_dilations=()).to_dict()).eval()
    refining = build_segmenter(CONFIG.to_dict()).eval()
    missing, unexpected = refining.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert {name.split(".")[:2] == ["mask_decoder", "refine"] for name in missing} == {True}
    which = torch.tensor([0])
    with torch.no_grad():
        one, other = (
            each.decode(each.encode(states(1)), which, prompts_of("both", 1)).logits
            for each in (plain, refining)
        )
        assert torch.equal(one, other)
        for name in missing:
            refining.state_dict()[name].normal_(std=0.3)
        learnt = refining.decode(refining.encode(states(1)), which, prompts_of("both", 1)).logits
    assert not torch.allclose(one, learnt)


def test_no_prompts_are_no_masks(segmenter: TrunkSamSegmenter) -> None:
    nothing = torch.zeros(0, dtype=torch.long)
    decoded = segmenter.decode(
        segmenter.encode(states(1)), nothing, MaskPrompts(sparse=torch.zeros(0, 1, 16))
    )
    assert decoded.logits.shape == (0, 1, 32, 32)


def test_wrong_shapes_get_a_sentence(segmenter: TrunkSamSegmenter) -> None:
    features = segmenter.encode(states(1))
    with pytest.raises(PromptError, match=r"boxes has shape \(2, 4\)"):
        segmenter.decode(features, torch.tensor([0]), MaskPrompts(boxes=torch.zeros(2, 4)))
