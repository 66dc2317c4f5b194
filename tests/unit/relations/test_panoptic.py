"""Panoptic segments end to end, from a folder of a tiny random Mask2Former."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lisa.cli import main
from lisa.errors import CheckpointError
from lisa.masks import decode_rle
from lisa.relations import CLASSES
from lisa.relations.panoptic import PanopticSegmenter
from tests.tiny import picture
from tests.tiny_panoptic import WIDTH, write_mask2former, write_oneformer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mask2former(tmp_path_factory.mktemp("mask2former"), CLASSES)


def test_segments_with_names(folder: Path):
    segmenter = PanopticSegmenter.from_pretrained(folder, device="cpu")
    graph = segmenter(picture(50, 70))
    assert graph.relations == ()
    assert graph.names is not None
    assert set(graph.names) == {CLASSES[0], CLASSES[1], CLASSES[3]}
    covered = np.sum([one.mask for one in graph.segments], axis=0)
    assert covered.shape == (50, 70)
    assert covered.max() == 1
    areas = [int(one.mask.sum()) for one in graph.segments]
    assert areas == sorted(areas, reverse=True)
    divided = segmenter.divide(picture(50, 70))
    assert divided.graph.names == graph.names
    assert divided.features.shape == (WIDTH, 16, 16)
    assert segmenter.feature_size == WIDTH
    assert torch.equal(segmenter.feature_map(picture(50, 70)), divided.features)


def test_a_model_that_is_told_its_task(tmp_path: Path):
    segmenter = PanopticSegmenter.from_pretrained(write_oneformer(tmp_path, CLASSES), device="cpu")
    divided = segmenter.divide(picture(50, 70))
    assert divided.graph.names == (CLASSES[2],)
    assert divided.graph.segments[0].mask.shape == (50, 70)
    assert divided.features.shape == (WIDTH, 16, 16)
    assert segmenter.feature_size == WIDTH


def test_the_command(folder: Path, tmp_path: Path, capsys):
    picture(50, 70).save(tmp_path / "photo.png")
    arguments = ["panoptic", str(tmp_path / "photo.png"), "--model", str(folder)]
    arguments += ["--device", "cpu", "--offline"]
    out = tmp_path / "out"
    assert main([*arguments, "--json", "--out", str(out)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["image_size"] == [50, 70]
    for segment in record["segments"]:
        assert segment["name"] in CLASSES
        assert decode_rle(segment["mask"]).any()
    assert {path.name for path in out.iterdir()} == {"photo.png", "photo.json"}
    assert main(arguments) == 0
    assert f"{len(record['segments'])} segments" in capsys.readouterr().out


def test_without_weights_a_sentence_names_them(tmp_path: Path, capsys):
    assert main(["panoptic", str(tmp_path / "photo.png")]) == 2
    assert "facebook/mask2former-swin-base-coco-panoptic" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["bert", "eomt"])
def test_a_model_of_another_kind(tmp_path: Path, kind: str):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(CheckpointError, match=f"kind '{kind}', which gives no panoptic"):
        PanopticSegmenter.from_pretrained(tmp_path, device="cpu")


def test_damaged_weights(folder: Path, tmp_path: Path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="missing or damaged"):
        PanopticSegmenter.from_pretrained(tmp_path, device="cpu")
