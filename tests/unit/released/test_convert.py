from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from lisa.errors import CheckpointError
from lisa.models import LisaModel
from lisa.processor import LisaProcessor
from lisa.released import convert, is_released_layout, load_released
from lisa.released.config import PartTypes
from lisa.types import Conversation
from tests.unit.released.checkpoints import MIXED, Sizes, Written, write_checkpoint

HALF = PartTypes(torch.float16, torch.float16)


@pytest.mark.parametrize("types", [MIXED, HALF], ids=["mixed", "half"])
@pytest.mark.parametrize("projector", ["linear", "backbone"])
def test_save_load_save_is_bit_identical(tmp_path: Path, projector: str, types: PartTypes) -> None:
    written = write_checkpoint(tmp_path, Sizes(projector=projector, types=types))
    once, twice = tmp_path / "once", tmp_path / "twice"
    assert convert(written.folder, once, vision_tower=written.tower) == once
    assert not is_released_layout(once)
    assert not list(once.glob("*.bin"))
    model = LisaModel.from_pretrained(once)
    assert isinstance(model, LisaModel)
    model.save_pretrained(twice)
    LisaProcessor.from_pretrained(once).save_pretrained(twice)
    names = sorted(path.name for path in once.iterdir())
    assert names == sorted(path.name for path in twice.iterdir())
    for name in names:
        assert (once / name).read_bytes() == (twice / name).read_bytes(), name
    original, _ = load_released(written.folder, vision_tower=written.tower)
    state = original.state_dict()
    assert set(state) == set(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == state[name].dtype == types.of(name)
        assert torch.equal(tensor, state[name]), name


def test_the_processor_survives(tmp_path: Path) -> None:
    written = write_checkpoint(tmp_path)
    convert(written.folder, tmp_path / "ours", vision_tower=written.tower, template="vicuna_v1")
    _, before = load_released(written.folder, vision_tower=written.tower, template="vicuna_v1")
    after = LisaProcessor.from_pretrained(tmp_path / "ours")
    assert after.settings == before.settings
    picture = Image.effect_noise((57, 31), 80).convert("RGB")
    question = Conversation().ask("Can you segment the red cup?", image_index=0)
    one, other = (p([picture], [question]) for p in (before, after))
    assert torch.equal(one.input_ids, other.input_ids)
    assert torch.equal(one.images.pixel_values, other.images.pixel_values)
    assert torch.equal(one.images.sam_pixel_values, other.images.sam_pixel_values)


def test_a_destination_with_files_is_refused(tmp_path: Path) -> None:
    written = write_checkpoint(tmp_path)
    for destination in (written.folder, written.folder / "config.json"):
        with pytest.raises(CheckpointError, match="is not an empty folder"):
            convert(written.folder, destination, vision_tower=written.tower)
    assert isinstance(written, Written)
    assert json.loads((written.folder / "config.json").read_text())["model_type"] == "llava"
