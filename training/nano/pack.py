"""Write a trained `lisa-nano` in half precision, without the language model's own weights."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from lisa.base_weights import DELTA_FILE, LANGUAGE_MODEL
from lisa.models import LisaModel
from lisa.processor import LisaProcessor
from lisa.settings import plain
from training.lora import LanguageAdapter
from training.nano.recipe import NanoRecipe

# The output layer is the embedding table again.
_HEAD = "backbone.lm_head."


def pack(
    model: LisaModel,
    processor: LisaProcessor,
    adapter: LanguageAdapter,
    recipe: NanoRecipe,
    folder: Path,
    logs: list[Path],
) -> None:
    """Write weights, configuration, processor, recipe and logs; other files in `folder` stay."""
    tensors: dict[str, Tensor] = {
        LANGUAGE_MODEL + name: tensor for name, tensor in adapter.delta().items()
    }
    for name, tensor in model.state_dict().items():
        if not name.startswith((LANGUAGE_MODEL, _HEAD)):
            tensors[name] = tensor.detach()
    half = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().clone()
        for name, tensor in tensors.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as staging:
        save_file(half, Path(staging) / DELTA_FILE, metadata={"format": "pt"})
        model.config.dtype = torch.float32
        model.config.save_pretrained(staging)
        processor.save_pretrained(staging)
        recipe_text = json.dumps(plain(recipe), indent=2) + "\n"
        (Path(staging) / "recipe.json").write_text(recipe_text, encoding="utf-8")
        for log in logs:
            shutil.copy(log, Path(staging) / f"log_{log.parent.name}.jsonl")
        for file in Path(staging).iterdir():
            file.replace(folder / file.name)
