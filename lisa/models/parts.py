"""The parts of a LISA model side by side, and how they are built, loaded and saved.

A subclass of the backbone's class would load released weights without their `lm_head` (transformers
applies its renamings only to classes of its own), so the backbone is held unmodified.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedModel

from lisa.models.backbone import check_backbone, language_dtype, set_projector
from lisa.models.config import LisaConfig
from lisa.models.loading import (
    HUB_OPTIONS,
    as_dtype,
    check_report,
    check_uniform,
    note_dtype,
    readable_weights,
)
from lisa.models.mask_projection import build_mask_projection
from lisa.models.projectors import build_projector
from lisa.models.prompt_heads import build_prompt_head
from lisa.models.segmenters import build_segmenter


class LisaParts(PreTrainedModel):
    """Backbone, mask projection, prompt head and segmenter; see :class:`LisaConfig`."""

    config: LisaConfig
    config_class = LisaConfig
    base_model_prefix = ""
    input_modalities = ["image", "text"]
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: LisaConfig, backbone: PreTrainedModel | None = None) -> None:
        """Build all parts with fresh weights.

        Args:
            config: Of the model.
            backbone: One that is there already, with its weights; left out, it is built too.

        Raises:
            ConfigError: If a name in the configuration stands in no registry, or the backbone
                cannot be used.
        """
        super().__init__(config)
        if backbone is None:
            backbone = AutoModelForImageTextToText.from_config(config.backbone)
        self.backbone: PreTrainedModel = backbone
        check_backbone(self.backbone)
        projector = build_projector(config.projector, config.backbone)
        if projector is not None:
            set_projector(self.backbone, projector)
        self.segmenter = build_segmenter(config.segmenter_config or {})
        self.mask_projection = build_mask_projection(
            config.language_width, self.segmenter.prompt_dim, config.prompt_head_dropout
        )
        self.prompt_head = build_prompt_head(
            config.prompt_head,
            config.language_width,
            self.segmenter.prompt_dim,
            self.segmenter.grid,
        )
        if config.segmenter_dtype is not None:
            self.set_segmenter_dtype(as_dtype(config.segmenter_dtype))
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Leave our own parts as their constructors filled them (the backbone has its own way)."""

    @property
    def dtype(self) -> torch.dtype:
        """Number type of the language model, not that of a trunk that stays in float32."""
        return language_dtype(self.backbone)

    @property
    def segmenter_dtype(self) -> torch.dtype:
        """Number type of everything behind the language model."""
        return cast(torch.dtype, self.mask_projection[0].weight.dtype)

    def set_segmenter_dtype(self, dtype: torch.dtype) -> None:
        """Convert all that is behind the language model, and note the type in the configuration."""
        for part in (self.mask_projection, self.prompt_head, self.segmenter):
            part.to(dtype)
        self.config.segmenter_dtype = str(dtype).removeprefix("torch.")

    @property
    def segmenter_device(self) -> torch.device:
        """Where everything behind the language model lives."""
        return cast(torch.device, self.mask_projection[0].weight.device)

    def kept_bytes(self, image_tokens: int) -> int:
        """Return how much memory an encoded picture takes.

        Args:
            image_tokens: How many P it has.

        Returns:
            Bytes of its image tokens, and of its frame and features for the segmenter.
        """
        vision = getattr(self.config.backbone, "vision_config", None)
        layers = 1 + len(getattr(vision, "deepstack_visual_indexes", None) or ())
        tokens = image_tokens * self.config.language_width * layers * self.dtype.itemsize
        frame = 3 * self.segmenter.image_size**2 * torch.float32.itemsize
        return tokens + frame + self.segmenter.feature_values * self.segmenter_dtype.itemsize

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | Path,
        *args: Any,
        segmenter_dtype: torch.dtype | str | None = None,
        output_loading_info: bool = False,
        **kwargs: Any,
    ) -> Self | tuple[Self, dict[str, Any]]:
        """Load a model that `save_pretrained` wrote; every weight must be there and be known.

        Args:
            pretrained_model_name_or_path: Folder or hub id.
            *args: As transformers takes them.
            segmenter_dtype: Number type behind the language model. None keeps what is stored, or
                follows `dtype` where that is given.
            output_loading_info: Also return transformers' loading report.
            **kwargs: As transformers takes them; `dtype="auto"`, the default, keeps what is stored.

        Raises:
            CheckpointError: If a weight is missing, unknown or of another shape.
        """
        dtype = kwargs.get("dtype")
        if segmenter_dtype is None and dtype not in (None, "auto"):
            segmenter_dtype = dtype
        config = kwargs.pop("config", None)
        if not isinstance(config, LisaConfig):
            hub = {k: kwargs[k] for k in HUB_OPTIONS if k in kwargs}
            config = LisaConfig.from_pretrained(config or pretrained_model_name_or_path, **hub)
        if segmenter_dtype is not None:
            config.segmenter_dtype = str(as_dtype(segmenter_dtype)).removeprefix("torch.")
        source = str(pretrained_model_name_or_path)
        with readable_weights(source):
            loaded: Any = super().from_pretrained(
                pretrained_model_name_or_path,
                *args,
                config=config,
                output_loading_info=True,
                **kwargs,
            )
        model, report = cast(tuple[Self, dict[str, Any]], loaded)
        check_report(source, report)
        return (model, report) if output_loading_info else model

    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | Path, *args: Any, **kwargs: Any
    ) -> None:
        """Write weights (safetensors) and configuration; both number types are noted for loading.

        Raises:
            CheckpointError: If the backbone, or what is behind it, mixes number types within
                itself, which loading would not bring back.
        """
        self.config.segmenter_dtype = str(self.segmenter_dtype).removeprefix("torch.")
        if not getattr(self.backbone, "is_quantized", False):
            check_uniform("backbone", self.backbone, kept=self._keep_in_fp32_modules_strict or ())
            note_dtype(self.config.backbone, self.dtype)
        for name in ("mask_projection", "prompt_head", "segmenter"):
            check_uniform(name, self.get_submodule(name), self.segmenter_dtype)
        super().save_pretrained(save_directory, *args, **kwargs)
