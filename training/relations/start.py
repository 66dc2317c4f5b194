"""The relation transformer may start from a language model's blocks, as GRNet's does."""

from __future__ import annotations

from typing import Any

import torch
from transformers import BertModel

from lisa.errors import ConfigError
from lisa.hub import resolve
from lisa.models.loading import readable_weights
from lisa.relations.model import RelationModel

_ROWS = ("embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight")
"""Tables of which only the first rows are read."""


def start_from_bert(model: RelationModel, source: str) -> None:
    """Copy the first blocks of a BERT into a relation model, and what stands before them.

    Args:
        model: Changed in place; its own input and output layers stay fresh.
        source: Hub id or folder of a BERT in transformers' layout, with safetensors.

    Raises:
        CheckpointError: If weights cannot be found or read.
        ConfigError: If the BERT is of other sizes, or has fewer blocks.
    """
    folder = resolve(source, pickled=None)
    with readable_weights(source):
        bert: Any = BertModel.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
    given = bert.state_dict()
    wanted = {
        name: value
        for name, value in model.model.state_dict().items()
        if name.startswith(("encoder.", "embeddings.LayerNorm.")) or name in _ROWS
    }
    for name, value in wanted.items():
        found = given.get(name)
        if found is not None and name in _ROWS:
            found = found[: len(value)]
        if found is None or found.shape != value.shape:
            has = "no such weight" if found is None else f"one of {tuple(found.shape)}"
            raise ConfigError(
                f"{source} cannot start this relation transformer: of {name}, which must be "
                f"{tuple(value.shape)}, it has {has}; set sizes to its own."
            )
        # A state dict's tensors are the model's own.
        value.copy_(found)
