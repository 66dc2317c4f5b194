"""Where the tagger of `lisa-nano` begins: a solution by least squares, place by place.

With random weights a query decoder needs thousands of steps to find out where to look. The scenes
know what covers each place, and the trunk's maps say that almost linearly: one solution of normal
equations gives a projection of the maps and a query for each tag, whose product is about 1 where
the tag is and 0 elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lisa.tagging.models import TaggingModel
from lisa.tagging.trunk_encoder import TrunkEncoder
from training.tagging.labels import RARE

_BATCH = 100
_RIDGE = 1e-3
"""Added to the diagonal, as a share of its mean: channels of one map depend on each other."""

_SHARPNESS = 20.0
"""Difference of attention, before the softmax, between a place with a tag and one without."""

_LOUDNESS = 10.0
"""What is seen, over the query that is added to it: the answer must depend on the picture."""

_READING = 0.5
"""Length of a classifier's row over that of the tag's query."""


@dataclass(frozen=True, eq=False)
class TaggedScenes:
    """Scenes as the tagger learns from them.

    Attributes:
        maps: float16 (N, channels, g, g), the trunk's maps on one grid.
        channels: Of each of the maps.
        things: bool (M + 1, C), the tags of every thing of every scene; the last has none.
        places: (N, g * g), which of the things covers each place of a scene.
        shown: bool (N, C), which tags each scene has.
    """

    maps: Tensor
    channels: tuple[int, ...]
    things: Tensor
    places: Tensor
    shown: Tensor


class LinearTagger(NamedTuple):
    """Finds tags place by place.

    Attributes:
        projection: (W, channels).
        queries: (C, W), of mean length 1 over the tags that occur; their product with what is
            projected is about 1 where a tag is.
    """

    projection: Tensor
    queries: Tensor


def begin(model: TaggingModel, scenes: TaggedScenes, learned: Tensor) -> None:
    """Gives a model of one layer and one head the weights that training begins with.

    Args:
        model: For a fixed list, all widths alike, on a trunk.
        scenes: What it learns from.
        learned: Places of those that may be used.
    """
    encoder = model.visual_encoder
    assert isinstance(encoder, TrunkEncoder)
    linear = solve(scenes, learned, model.config.hidden)
    width = model.config.hidden
    attention = model.tagging_head.layers[0].get_submodule("crossattention")
    sharpness = (_SHARPNESS * width**0.5) ** 0.5  # of queries and keys each
    gains = {
        "self.query": sharpness,
        "self.key": sharpness,
        "self.value": _LOUDNESS,
        "output.dense": 1.0,
    }
    with torch.no_grad():
        encoder.projection.weight.copy_(linear.projection[:, :, None, None])
        nn.init.zeros_(encoder.projection.get_parameter("bias"))
        model.get_parameter("label_embed.weight").copy_(linear.queries)
        model.get_parameter("fc.W").copy_(_READING * linear.queries[None])
        model.get_parameter("fc.b").fill_(RARE)
        for name, gain in gains.items():
            attention.get_parameter(f"{name}.weight").copy_(gain * torch.eye(width))
            nn.init.zeros_(attention.get_parameter(f"{name}.bias"))


def solve(scenes: TaggedScenes, learned: Tensor, width: int) -> LinearTagger:
    """Returns the best product of a projection to `width` numbers and queries.

    It is the solution of ridge regression from a place's channels to the tags of what covers it,
    cut to its largest singular values.
    """
    channels, tags = scenes.maps.shape[1], scenes.things.shape[1]
    inputs = torch.zeros(channels + 1, channels + 1)
    products = torch.zeros(channels + 1, tags)
    for part in learned.split(_BATCH):
        maps = scenes.maps[part].float().flatten(2).transpose(1, 2).flatten(0, 1)
        maps = torch.cat([maps, torch.ones(len(maps), 1)], dim=1)
        shown = scenes.things[scenes.places[part].flatten()].float()
        inputs += maps.T @ maps
        products += maps.T @ shown
    inputs += _RIDGE * inputs.diagonal().mean() * torch.eye(channels + 1)
    occurs = products[-1] > 0
    weight = torch.linalg.solve(inputs, products)[:-1]
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    projection = torch.zeros(width, channels)
    queries = torch.zeros(tags, width)
    kept = min(width, len(values))
    projection[:kept] = (left * values.sqrt())[:, :kept].T
    queries[:, :kept] = (right.T * values.sqrt())[:, :kept]
    length = queries[occurs].norm(dim=1).mean()
    return LinearTagger(projection * length, queries / length)
