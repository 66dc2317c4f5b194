"""The layout of the released tagging files: names, sizes told by shapes, and the full sizes.

Our modules have the released names, so there is nothing to map but an older name of the query
decoder. What a file holds beyond weights (window indices, masks, position numbers) we compute.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch

from lisa.errors import CheckpointError, ConfigError
from lisa.released.shards import TensorInfo
from lisa.tagging.config import (
    EncoderSizes,
    Kind,
    SwinSizes,
    TaggingConfig,
    TextSizes,
)
from lisa.tagging.encoder import PictureEncoder
from lisa.tagging.models import TaggingModel
from lisa.tagging.swin import PATCH, shifted_window_mask

# Swin halves its grid three times after cutting patches: pictures come in multiples of this.
STRIDE = 32
_COMPUTED = re.compile(r"\.(relative_position_index|attn_mask|position_ids)$")
_TEXT_PARTS = ("tag_encoder.", "text_decoder.")
_LAYER = "tagging_head.encoder.layer."


@dataclass(frozen=True)
class Heads:
    """Attention heads that shapes do not tell; defaults are those of the released files.

    Attributes:
        decoder: Of a layer of the query decoder.
        text: Of a layer of the text models.
    """

    decoder: int = 4
    text: int = 12


def to_ours(name: str) -> str:
    """Returns our name of a released weight."""
    return name.replace("vision_multi", "tagging_head", 1)


def is_ignored(name: str, with_text: bool) -> bool:
    """Tells whether a released file may hold something that is not loaded."""
    return bool(_COMPUTED.search(name)) or (not with_text and name.startswith(_TEXT_PARTS))


def config_from_shapes(
    tensors: Mapping[str, TensorInfo],
    *,
    with_text: bool = False,
    image_size: int | None = None,
    heads: Heads | None = None,
) -> TaggingConfig:
    """Returns the sizes of the model that a released file belongs to.

    Args:
        tensors: What the file holds, by our names.
        with_text: Whether the text models are wanted too.
        image_size: Side of the pictures to be seen; None takes that of the file. Another size than
            the file's has another window: the grid of the last stage.
        heads: What shapes do not tell; None takes the released numbers.

    Raises:
        CheckpointError: If a weight that tells a size is missing.
        ConfigError: If the picture size is no multiple of 32.
    """
    heads = heads or Heads()
    shapes = _Shapes(tensors)
    kind: Kind = "recognize-anything"
    if "fc.W" in tensors:
        kind = "tag2text"
    elif "reweight_scale" in tensors:
        kind = "recognize-anything-plus"
    hidden, token_width = shapes.of(f"{_LAYER}0.crossattention.self.key.weight")
    tags, label_width = shapes.of("label_embed.weight" if kind == "tag2text" else "label_embed")
    texts_per_tag = 1
    if kind == "recognize-anything-plus":
        # Each tag has one sentence and five questions with ten answers each.
        texts_per_tag = 51
        if tags % texts_per_tag:
            raise CheckpointError(
                f"label_embed has {tags} rows, which 51 texts per tag do not divide: give a file "
                "in the layout of ram_plus_swin_large_14m.pth."
            )
    return TaggingConfig(
        kind=kind,
        encoder=for_image_size(_swin_sizes(shapes), image_size),
        num_tags=tags // texts_per_tag,
        texts_per_tag=texts_per_tag,
        label_width=label_width,
        token_width=token_width,
        hidden=hidden,
        intermediate=shapes.of(f"{_LAYER}0.intermediate.dense.weight")[0],
        layers=shapes.count(_LAYER),
        heads=heads.decoder,
        text=_text_sizes(shapes, heads.text) if with_text else None,
    )


def for_image_size(sizes: EncoderSizes, image_size: int | None) -> EncoderSizes:
    """Returns the sizes for pictures of another side, in pixels; None leaves all as it is.

    Raises:
        ConfigError: If the side is no multiple of 32.
    """
    if image_size is None or image_size == sizes.image_size:
        return sizes
    if image_size < STRIDE or image_size % STRIDE:
        raise ConfigError(
            f"image_size {image_size} is no multiple of {STRIDE}: the released models see "
            "384 or 224 pixels."
        )
    if isinstance(sizes, SwinSizes):
        return replace(sizes, image_size=image_size, window=image_size // STRIDE)
    return replace(sizes, image_size=image_size)


class _Shapes:
    """Looks up shapes, with a sentence where one is missing."""

    def __init__(self, tensors: Mapping[str, TensorInfo]) -> None:
        self.tensors = tensors

    def of(self, name: str) -> tuple[int, ...]:
        if name not in self.tensors:
            raise CheckpointError(
                f"The file lacks the weight {name}: give a tagging checkpoint in the layout of "
                "ram_swin_large_14m.pth, ram_plus_swin_large_14m.pth or tag2text_swin_14m.pth."
            )
        return self.tensors[name].shape

    def count(self, prefix: str) -> int:
        numbers = {
            int(name.removeprefix(prefix).partition(".")[0])
            for name in self.tensors
            if name.startswith(prefix)
        }
        return len(numbers)


def _swin_sizes(shapes: _Shapes) -> SwinSizes:
    prefix = "visual_encoder.layers."
    stages = range(shapes.count(prefix))
    table = "{}{}.blocks.0.attn.relative_position_bias_table"
    rows = shapes.of(table.format(prefix, 0))[0]
    window = (math.isqrt(rows) + 1) // 2
    stored = STRIDE * window
    mask = f"{prefix}0.blocks.1.attn_mask"
    if mask in shapes.tensors:
        stored = PATCH * window * math.isqrt(shapes.of(mask)[0])
    return SwinSizes(
        image_size=stored,
        window=window,
        width=shapes.of("visual_encoder.patch_embed.proj.weight")[0],
        depths=tuple(shapes.count(f"{prefix}{stage}.blocks.") for stage in stages),
        heads=tuple(shapes.of(table.format(prefix, stage))[1] for stage in stages),
    )


def _text_sizes(shapes: _Shapes, heads: int) -> TextSizes:
    embeddings = "text_decoder.bert.embeddings."
    return TextSizes(
        vocabulary=shapes.of(f"{embeddings}word_embeddings.weight")[0],
        layers=shapes.count("text_decoder.bert.encoder.layer."),
        heads=heads,
        positions=shapes.of(f"{embeddings}position_embeddings.weight")[0],
    )


_SWIN_LARGE = SwinSizes(384, 12, 192, (2, 2, 18, 2), (6, 12, 24, 48))
_SWIN_BASE = SwinSizes(384, 12, 128, (2, 2, 18, 2), (4, 8, 16, 32))
_BERT = TextSizes(vocabulary=30524, layers=12, heads=12, positions=512)
_LARGE = TaggingConfig(
    kind="recognize-anything",
    encoder=_SWIN_LARGE,
    num_tags=4585,
    texts_per_tag=1,
    label_width=512,
    token_width=512,
    hidden=768,
    intermediate=3072,
    layers=2,
    heads=4,
    text=_BERT,
)

# By file name. They let each model be built on the meta device, and its keys be counted.
FULL_SIZES: Mapping[str, TaggingConfig] = MappingProxyType(
    {
        "ram_swin_large_14m.pth": _LARGE,
        "ram_plus_swin_large_14m.pth": replace(
            _LARGE, kind="recognize-anything-plus", texts_per_tag=51, text=None
        ),
        "tag2text_swin_14m.pth": replace(
            _LARGE,
            kind="tag2text",
            encoder=_SWIN_BASE,
            num_tags=3429,
            label_width=768,
            token_width=1024,
        ),
    }
)


def released_tensors(model: TaggingModel) -> dict[str, TensorInfo]:
    """Returns everything that a released file of a model holds, computed things included."""
    tensors = {name: TensorInfo.of(tensor) for name, tensor in model.state_dict().items()}
    tensors |= _window_tensors(model.visual_encoder, "visual_encoder")
    text = model.config.text
    if text is not None:
        numbers = TensorInfo((1, text.positions), torch.int64)
        tensors["tag_encoder.embeddings.position_ids"] = numbers
        tensors["text_decoder.bert.embeddings.position_ids"] = numbers
    return tensors


def _window_tensors(encoder: PictureEncoder, prefix: str) -> dict[str, TensorInfo]:
    tensors = {}
    for name, block in encoder.named_modules(prefix=prefix):
        if not re.search(r"\.blocks\.\d+$", name):
            continue
        window, shift = int(block.window), int(block.shift)
        index = TensorInfo((window**2, window**2), torch.int64)
        tensors[f"{name}.attn.relative_position_index"] = index
        if shift:
            mask = shifted_window_mask(int(block.grid), window, shift)
            tensors[f"{name}.attn_mask"] = TensorInfo.of(mask)
    return tensors
