"""The tags that a run learns, as labels of the model that it starts from."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lisa.errors import ConfigError
from lisa.tagging import TextEncoder
from lisa.tagging.labels import Labels
from lisa.tagging.models import OpenVocabularyModel, TaggingModel
from lisa.tagging.vocabulary import ensemble

RARE = -3.0
"""Logit of a new tag before it has learnt: most tags are absent from most pictures."""


def labels_for(
    model: TaggingModel,
    names: Sequence[str],
    known: Sequence[str],
    encoder: TextEncoder | None,
    seed: int,
) -> Labels:
    """Returns labels of tags.

    A model for any words takes their text embeddings. One with a fixed list keeps its rows of the
    tags that it knows, and begins with fresh rows for the others.

    Args:
        model: The model.
        names: Of the tags.
        known: Names of the model's own tags, in order; empty if nobody told them.
        encoder: CLIP's text encoder, for a model for any words.
        seed: Of fresh rows.

    Raises:
        ConfigError: If the model needs an encoder and there is none, or none that fits.
    """
    if isinstance(model, OpenVocabularyModel):
        if encoder is None or encoder.width != model.config.label_width:
            raise ConfigError(
                "this model knows tags by their text embeddings: name the CLIP that it was trained "
                f"with ({model.config.label_width} numbers a text) under clip."
            )
        return Labels((ensemble(names, encoder, average=not model.weighs_texts),))
    own = model.own_labels()
    assert own.weights is not None and own.biases is not None
    generator = torch.Generator().manual_seed(seed)
    (queries,) = own.blocks
    places = {name: place for place, name in enumerate(known)}
    rows = torch.randn(len(names), queries.shape[-1], generator=generator)
    new = (rows * queries.float().std().cpu())[:, None].to(queries)
    weights = (0.05 * torch.randn(rows.shape, generator=generator)).to(own.weights)
    biases = torch.full((len(names),), RARE).to(own.biases)
    for row, name in enumerate(names):
        if name in places:
            new[row] = queries[places[name]]
            weights[row] = own.weights[places[name]]
            biases[row] = own.biases[places[name]]
    return Labels((new,), weights, biases)
