"""Least squares on scenes whose maps say exactly what covers each place."""

from __future__ import annotations

import torch

from lisa.tagging import TaggingConfig, TrunkSizes, build_model
from tests.tiny_nano import ARCHITECTURE
from training.nano.tagger_start import TaggedScenes, begin, solve

CHANNELS, TAGS, WIDTH = 12, 5, 8
NOTHING = TAGS


def scenes(count: int = 60, side: int = 4) -> TaggedScenes:
    """Each thing has one tag and a pattern of its own in the maps; most places show nothing."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(TAGS + 1, CHANNELS, generator=generator)
    things = torch.cat([torch.eye(TAGS), torch.zeros(1, TAGS)]).bool()
    places = torch.full((count, side**2), NOTHING)
    for scene in range(count):
        shown = torch.randperm(TAGS, generator=generator)[:2]
        places[scene, torch.randperm(side**2, generator=generator)[:4]] = shown.repeat(2)
    maps = patterns[places] + 0.05 * torch.randn(count, side**2, CHANNELS, generator=generator)
    shown = torch.stack([things[row].any(dim=0) for row in places])
    maps = maps.transpose(1, 2).unflatten(2, (side, side)).half()
    return TaggedScenes(maps, (CHANNELS,), things, places, shown)


def test_the_product_says_what_covers_each_place():
    known = scenes()
    linear = solve(known, torch.arange(50), WIDTH)
    assert linear.projection.shape == (WIDTH, CHANNELS)
    assert linear.queries.shape == (TAGS, WIDTH)
    unseen = known.maps[50:].float().flatten(2).transpose(1, 2)
    likeness = unseen @ linear.projection.T @ linear.queries.T
    # Up to a constant of each tag, which attention does not see.
    likeness = likeness - likeness.flatten(0, 1).median(dim=0).values
    targets = known.things[known.places[50:]].float()
    assert (likeness - targets).abs().mean() < 0.1
    assert torch.equal(likeness > 0.5, targets > 0.5)


def test_a_model_finds_tags_before_it_has_learned():
    known = scenes()
    encoder = TrunkSizes("nobody", ARCHITECTURE, 64, (4,), (CHANNELS,), 4, WIDTH)
    model = build_model(
        TaggingConfig("fixed-list", encoder, TAGS, 1, WIDTH, WIDTH, WIDTH, 2 * WIDTH, 1, 1)
    )
    begin(model, known, torch.arange(50))
    with torch.no_grad():
        tokens = model.visual_encoder.mix(known.maps[50:].float())
        logits = model.tag_logits(tokens, model.own_labels())
    shown = known.shown[50:]
    for tag in range(TAGS):
        assert logits[shown[:, tag], tag].mean() > logits[~shown[:, tag], tag].mean() + 0.5
