"""LoRA layers and new embedding rows of a language model, in training and as a delta to keep."""

from __future__ import annotations

from typing import Any, cast

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

_TARGETS = r".*layers\.\d+\..*_proj"


class LanguageAdapter:
    """What learns in a language model whose own weights stay as they are.

    Attributes:
        new_rows: (R, D) the last rows of the embedding table, which is also the output layer's.
    """

    def __init__(self, backbone: nn.Module, rank: int, alpha: int, new_rows: int) -> None:
        """Add LoRA layers to all linear layers, and hooks that put trainable rows into the table.

        Args:
            backbone: A LLaVA-like model with tied embeddings.
            rank: Of the LoRA layers.
            alpha: Their scale times the rank.
            new_rows: R, how many of the table's last rows learn.
        """
        self.backbone = cast(Any, backbone)
        self.language_model = cast(Any, self.backbone.model.language_model)
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=_TARGETS)
        inject_adapter_in_model(config, self.language_model)
        table = self.language_model.embed_tokens.weight
        self._first = len(table) - new_rows
        self.new_rows = nn.Parameter(table[self._first :].detach().clone())
        # Making the whole tied table learn would cost its gradient and its optimiser state in every
        # step for the sake of two rows.
        self._handles = [
            self.language_model.embed_tokens.register_forward_hook(self._embed),
            self.backbone.lm_head.register_forward_hook(self._score),
        ]

    def _embed(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        ids = inputs[0]
        rows = self.new_rows[(ids - self._first).clamp(min=0)]
        return torch.where((ids >= self._first).unsqueeze(-1), rows.to(output.dtype), output)

    def _score(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        scores = inputs[0] @ self.new_rows.to(inputs[0].dtype).T
        return torch.cat([output[..., : self._first], scores], dim=-1)

    def parameters(self) -> dict[str, Tensor]:
        """Name everything that learns."""
        named = {
            name: parameter
            for name, parameter in self.language_model.named_parameters()
            if "lora_" in name
        }
        return {**named, "embed_tokens.new_rows": self.new_rows}

    def delta(self) -> dict[str, Tensor]:
        """Return the trained tensors by the names that `lisa.base_weights` reads."""
        return {
            name.replace(".lora_A.default.weight", ".lora_A").replace(
                ".lora_B.default.weight", ".lora_B"
            ): parameter.detach().clone()
            for name, parameter in self.parameters().items()
        }
