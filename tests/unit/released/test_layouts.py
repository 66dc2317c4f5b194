"""The published checkpoints at full size, on the meta device: every key and every byte."""

from __future__ import annotations

import json

import pytest
import torch

from lisa.errors import CheckpointError
from lisa.released import RELEASED_LAYOUTS, full_size_config, full_size_model
from lisa.released.key_map import is_ignored, to_ours
from lisa.released.layouts import released_frequencies, released_tensors


# Keys and total bytes of each release; length in bytes of its index file where it is known exactly.
@pytest.mark.parametrize(
    ("name", "keys", "total", "index_length"),
    [
        ("xinlai/LISA-7B-v1", 923, 16_120_985_792, 88_958),
        ("xinlai/LISA-13B-llama2-v1", 1003, 28_716_781_760, 95_614),
        ("Senqiao/LISA_Plus_7b", 925, None, None),
    ],
)
def test_full_size_layout(
    name: str, keys: int, total: int | None, index_length: int | None
) -> None:
    model = full_size_model(name)
    assert all(parameter.is_meta for parameter in model.parameters())
    weights, frequencies = released_tensors(model), released_frequencies(model)
    assert len(weights) + len(frequencies) == keys
    layout = {**weights, **frequencies}
    assert len(layout) == keys, "no name twice"

    # Every released name leads back to exactly one weight of ours, the vision tower apart.
    ours = {
        name for name in model.state_dict() if not name.startswith("backbone.model.vision_tower.")
    }
    assert {to_ours(released) for released in weights} == ours
    assert all(map(is_ignored, frequencies))
    assert not any(map(is_ignored, weights))

    counted = sum(info.num_bytes for info in layout.values())
    if total is not None:
        assert counted == total
    half = {torch.bfloat16: 0, torch.float32: 0}
    for released, info in weights.items():
        drawn = released.startswith(("model.visual_model.", "model.text_hidden_fcs."))
        assert info.dtype == (torch.float32 if drawn else torch.bfloat16)
        half[info.dtype] += info.num_bytes
    assert sum(half.values()) == counted - sum(info.num_bytes for info in frequencies.values())

    if index_length is not None:
        # The published index lists every name once beside a file name of fixed length, so its
        # length is a check of all names together.
        shard = "pytorch_model-00001-of-00002.bin"
        index = {"metadata": {"total_size": counted}, "weight_map": dict.fromkeys(layout, shard)}
        assert len(json.dumps(index, indent=2, sort_keys=True) + "\n") == index_length


def test_configuration_follows_each_release() -> None:
    seven, thirteen, plus = (
        full_size_config(name)
        for name in ("xinlai/LISA-7B-v1", "xinlai/LISA-13B-llama2-v1", "Senqiao/LISA_Plus_7b")
    )
    assert (seven.seg_token_id, thirteen.seg_token_id, plus.seg_token_id) == (32003, 32000, 32000)
    assert (seven.vocabulary_size, thirteen.vocabulary_size) == (32004, 32003)
    assert (seven.projector, plus.projector) == ("linear", "backbone")
    assert (seven.backbone.image_seq_length, plus.backbone.image_seq_length) == (256, 576)
    assert (seven.context_length, thirteen.context_length) == (2048, 4096)
    assert all(config.seg_state == "previous" for config in (seven, thirteen, plus))
    assert not seven.backbone.tie_word_embeddings
    assert set(RELEASED_LAYOUTS) >= {"xinlai/LISA-13B-llama2-v1-explanatory"}
    with pytest.raises(CheckpointError, match="is no published checkpoint"):
        full_size_config("xinlai/LISA-70B")
