"""Our image encoder against Meta's: the same weights must give the same numbers and gradients."""

from __future__ import annotations

import pytest
import torch
from segment_anything.modeling.image_encoder import Attention as MetaAttention
from segment_anything.modeling.image_encoder import Block as MetaBlock

from lisa.errors import ImageError
from lisa.models.segmenters.image_encoder import Attention, Block
from tests.unit.segmenters.tiny_sam import CONFIG, meta_sam, randomise, tiny_sam

# Head dimensions of ViT-B/L (64) and ViT-H (80); a window, an even grid and odd ones.
ATTENTIONS = [(64, (14, 14)), (80, (14, 14)), (80, (16, 16)), (80, (9, 13)), (64, (1, 7))]


@pytest.mark.parametrize(("head_dim", "grid"), ATTENTIONS)
def test_fused_attention_equals_the_original(head_dim: int, grid: tuple[int, int]) -> None:
    heads = 2
    meta = MetaAttention(heads * head_dim, num_heads=heads, use_rel_pos=True, input_size=grid)
    randomise(meta, seed=1)
    ours = Attention(heads * head_dim, heads, grid)
    ours.load_state_dict(meta.state_dict(), strict=True)
    x = torch.randn(3, *grid, heads * head_dim, generator=torch.Generator().manual_seed(2)) * 0.2
    first, second = x.clone().requires_grad_(), x.clone().requires_grad_()

    expected, actual = meta(first), ours(second)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)

    expected.square().sum().backward()
    actual.square().sum().backward()
    torch.testing.assert_close(second.grad, first.grad, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(ours.rel_pos_h.grad, meta.rel_pos_h.grad, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(ours.rel_pos_w.grad, meta.rel_pos_w.grad, atol=1e-3, rtol=1e-3)


def test_relative_positions_matter() -> None:
    grid = (5, 6)
    attention = Attention(16, 2, grid)
    randomise(attention, seed=1)
    x = torch.randn(1, *grid, 16)
    with_positions = attention(x)
    torch.nn.init.zeros_(attention.rel_pos_w)
    assert (attention(x) - with_positions).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("grid", "window"), [((10, 10), 4), ((8, 8), 4), ((3, 3), 14), ((7, 7), 0)]
)
def test_block_equals_the_original(grid: tuple[int, int], window: int) -> None:
    meta = MetaBlock(32, 2, use_rel_pos=True, window_size=window, input_size=grid)
    meta.norm1.eps = meta.norm2.eps = 1e-6
    randomise(meta, seed=3)
    ours = Block(32, 2, mlp_dim=128, grid=grid, window_size=window)
    ours.load_state_dict(meta.state_dict(), strict=True)
    x = torch.randn(2, *grid, 32, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), meta(x), atol=1e-4, rtol=1e-4)


def test_encoder_equals_the_original_for_a_batch() -> None:
    sam = tiny_sam()
    pixels = torch.randn(2, 3, CONFIG.image_size, CONFIG.image_size)
    with torch.no_grad():
        features = sam.encode(pixels)
        expected = meta_sam(sam).image_encoder(pixels)
        alone = sam.encode(pixels[1:])
    assert len(features) == 2
    torch.testing.assert_close(features.embedding, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features.embedding[1:], alone.embedding, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_close(dtype: torch.dtype) -> None:
    sam = tiny_sam()
    pixels = torch.randn(1, 3, CONFIG.image_size, CONFIG.image_size)
    with torch.no_grad():
        expected = sam.encode(pixels).embedding
        features = sam.to(dtype).encode(pixels)
    assert features.embedding.dtype == dtype
    assert (features.embedding.float() - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_large_activations_do_not_overflow_in_float16() -> None:
    encoder = tiny_sam().half().image_encoder
    state = 2000 * torch.randn(1, CONFIG.embed_dim, 7, 7, generator=torch.manual_seed(0))
    state = state.half()
    with torch.no_grad():
        guarded, plain = encoder._apply_neck(state), encoder.neck(state)
        expected = encoder.float().neck(state.float())
    # Without the guard the variance is infinite and the norm wipes the picture out.
    assert (plain.float() - expected).abs().max() > 0.5
    assert guarded.dtype == torch.float16
    torch.testing.assert_close(guarded.float(), expected, atol=0.01, rtol=0.01)


def test_gradients_reach_the_pixels() -> None:
    sam = tiny_sam()
    pixels = torch.randn(1, 3, CONFIG.image_size, CONFIG.image_size, requires_grad=True)
    sam.encode(pixels).embedding.square().sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().max() > 0
    table = sam.image_encoder.blocks[1].attn.rel_pos_h
    assert table.grad is not None
    assert table.grad.abs().max() > 0


@pytest.mark.parametrize("shape", [(1, 3, 112, 96), (1, 3, 64, 64), (1, 1, 112, 112)])
def test_wrong_frame_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"\(images, 3, 112, 112\)"):
        tiny_sam().encode(torch.zeros(shape))
