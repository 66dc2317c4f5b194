"""Sizes of a segmenter as plain, frozen data that survives a round trip through JSON.

A segmenter configuration is a dataclass whose ``kind`` names the segmenter class that it builds.
Its dictionary form stands in ``LisaConfig.segmenter_config``: a checkpoint describes its segmenter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from lisa.errors import ConfigError


@dataclass(frozen=True)
class SegmenterConfig:
    """What every segmenter configuration can do; subclasses add the sizes as fields.

    Attributes:
        kind: Name in the ``SEGMENTERS`` registry of the class that this configuration builds.
    """

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and ``kind`` as values that JSON can hold (tuples become lists)."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        lists = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        return {"kind": self.kind, **lists}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the configuration from what :meth:`to_dict` returned.

        Args:
            data: The fields, with or without ``kind``; fields with a default may be left out.

        Raises:
            ConfigError: If a key is unknown or missing, ``kind`` differs, or a value cannot be.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        kind = data.get("kind", cls.kind)
        unknown = sorted(set(data) - set(fields) - {"kind"})
        required = {name for name, field in fields.items() if _has_no_default(field)}
        missing = sorted(required - set(data))
        faults = []
        if kind != cls.kind:
            faults.append(f"its kind is {kind!r}")
        if unknown:
            faults.append(f"these keys are unknown: {', '.join(unknown)}")
        if missing:
            faults.append(f"these keys are missing: {', '.join(missing)}")
        if faults:
            raise ConfigError(
                f"The segmenter configuration is not one of kind {cls.kind!r}: "
                f"{'; '.join(faults)}; the keys that it may have are {', '.join(fields)}."
            )
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        values.pop("kind", None)
        return cls(**values)


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    absent = dataclasses.MISSING
    return field.default is absent and field.default_factory is absent


@dataclass(frozen=True)
class SamConfig(SegmenterConfig):
    """Sizes of SAM (Kirillov et al. 2023, "Segment Anything"); defaults are those of all releases.

    Attributes:
        embed_dim: Width of the image encoder.
        depth: Number of blocks of the image encoder.
        num_heads: Attention heads of the image encoder; they divide ``embed_dim``.
        encoder_mlp_dim: Hidden width of the encoder's MLPs.
        global_attn_indexes: Blocks that attend to the whole grid; the others attend inside windows.
        image_size: Side of the square input frame in pixels.
        patch_size: Side of a patch in pixels; it divides ``image_size``.
        window_size: Side of an attention window in patches.
        prompt_dim: Width C of image embedding, prompts and mask tokens.
        mask_in_chans: Hidden channels of the convolutions that embed a mask prompt.
        decoder_depth: Number of two-way transformer blocks of the mask decoder.
        decoder_heads: Attention heads of the mask decoder.
        decoder_mlp_dim: Hidden width of the mask decoder's MLPs.
        num_multimask_outputs: Masks of an ambiguous prompt; the decoder has one token more.
        iou_head_depth: Layers of the head that estimates each mask's IoU.
        iou_head_hidden_dim: Hidden width of that head.
    """

    kind: ClassVar[str] = "sam"

    embed_dim: int
    depth: int
    num_heads: int
    encoder_mlp_dim: int
    global_attn_indexes: tuple[int, ...]
    image_size: int = 1024
    patch_size: int = 16
    window_size: int = 14
    prompt_dim: int = 256
    mask_in_chans: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    num_multimask_outputs: int = 3
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256

    def __post_init__(self) -> None:
        """Check the sizes, all at once."""
        faults = [
            f"{field.name} is {getattr(self, field.name)!r}, which is not a positive integer"
            for field in dataclasses.fields(self)
            if field.name != "global_attn_indexes" and not _is_positive(getattr(self, field.name))
        ]
        if not faults:
            faults = self._mismatches()
        if faults:
            raise ConfigError(f"The SAM configuration cannot be built: {'; '.join(faults)}.")

    def _mismatches(self) -> list[str]:
        outside = [i for i in self.global_attn_indexes if i not in range(self.depth)]
        # The decoder's cross attention works at half of its width.
        divisions = {
            "num_heads must divide embed_dim": self.embed_dim % self.num_heads,
            "patch_size must divide image_size": self.image_size % self.patch_size,
            "2 * decoder_heads must divide prompt_dim": self.prompt_dim % (2 * self.decoder_heads),
            "8 must divide prompt_dim": self.prompt_dim % 8,
            "4 must divide mask_in_chans": self.mask_in_chans % 4,
        }
        faults = [sentence for sentence, rest in divisions.items() if rest]
        if outside:
            faults.append(f"global_attn_indexes {outside} are not blocks of {self.depth}")
        return faults

    @property
    def grid_size(self) -> int:
        """Side of the image embedding in patches."""
        return self.image_size // self.patch_size


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


PRESETS: dict[str, SegmenterConfig] = {
    "sam_vit_b": SamConfig(
        embed_dim=768,
        depth=12,
        num_heads=12,
        encoder_mlp_dim=3072,
        global_attn_indexes=(2, 5, 8, 11),
    ),
    "sam_vit_l": SamConfig(
        embed_dim=1024,
        depth=24,
        num_heads=16,
        encoder_mlp_dim=4096,
        global_attn_indexes=(5, 11, 17, 23),
    ),
    "sam_vit_h": SamConfig(
        embed_dim=1280,
        depth=32,
        num_heads=16,
        encoder_mlp_dim=5120,
        global_attn_indexes=(7, 15, 23, 31),
    ),
}
