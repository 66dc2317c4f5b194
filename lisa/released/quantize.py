"""4- and 8-bit language models through bitsandbytes; everything else keeps its floating numbers."""

from __future__ import annotations

import importlib
import logging
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lisa.errors import ConfigError, MissingDependencyError
from lisa.models import LisaModel
from lisa.released.key_map import LANGUAGE_MODEL

Quantization = Literal["4bit", "8bit"]
_CHOICES = ("4bit", "8bit")


class Quantizer:
    """Puts weights into the language model's linear layers in few bits, one at a time.

    The projector, the vision tower, the output layer, the mask projection and the segmenter stay as
    they are: masks suffer from coarse numbers long before words do.
    """

    def __init__(self, kind: str, device: torch.device) -> None:
        """Prepares to quantise.

        Args:
            kind: "4bit" (NF4 with quantised scales) or "8bit".
            device: Where the layers are to live.

        Raises:
            ConfigError: If `kind` is unknown.
            MissingDependencyError: If bitsandbytes is not installed.
        """
        if kind not in _CHOICES:
            raise ConfigError(f"quantize is {kind!r}; choose one of {', '.join(_CHOICES)}.")
        try:
            self._library: Any = importlib.import_module("bitsandbytes")
        except ImportError as error:
            raise MissingDependencyError(
                f"{kind} loading needs bitsandbytes; run pip install 'lisa-assistant[quant]'."
            ) from error
        # It would repeat at every product that 8-bit layers compute in float16.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        self._kind = kind
        self._device = device
        self._weights: set[str] = set()

    def prepare(self, model: LisaModel) -> None:
        """Replaces the linear layers of the language model by empty quantised ones."""
        language = model.get_submodule(LANGUAGE_MODEL)
        linear = [(n, m) for n, m in language.named_modules() if isinstance(m, nn.Linear)]
        for name, module in linear:
            owner, _, leaf = name.rpartition(".")
            setattr(language.get_submodule(owner), leaf, self._empty_like(module))
            self._weights.add(f"{LANGUAGE_MODEL}.{name}.weight")
        # transformers' flag: saving and moving such a model needs other care.
        model.backbone.is_quantized = True  # type: ignore[assignment]

    def handles(self, name: str) -> bool:
        """Tells whether a weight of the model belongs to a quantised layer."""
        return name in self._weights

    def put(self, model: LisaModel, name: str, weight: Tensor) -> None:
        """Quantises a weight and puts it into its layer, on the device."""
        layer = model.get_submodule(name.removesuffix(".weight"))
        nn_bits = self._library.nn
        weight = weight.contiguous()
        if self._kind == "4bit":
            packed = nn_bits.Params4bit(
                weight,
                requires_grad=False,
                quant_type="nf4",
                compress_statistics=True,
                module=layer,
            )
        else:
            packed = nn_bits.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
        layer.weight = packed.to(self._device)

    def _empty_like(self, layer: nn.Linear) -> nn.Module:
        bits = self._library.nn
        sizes = (layer.in_features, layer.out_features, layer.bias is not None)
        if self._kind == "4bit":
            empty: nn.Module = bits.Linear4bit(
                *sizes,
                compute_dtype=layer.weight.dtype,
                quant_type="nf4",
                compress_statistics=True,
                device="meta",
            )
        else:
            empty = bits.Linear8bitLt(*sizes, has_fp16_weights=False, device="meta")
        return empty
