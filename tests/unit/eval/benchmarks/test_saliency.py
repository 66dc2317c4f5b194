"""Co-saliency sets are read in CoCA's layout, and folders of grey maps are scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.benchmarks import open_benchmark
from eval.benchmarks.saliency import score_saliency
from lisa.data.wordings import WORDINGS
from lisa.errors import ConfigError, DataError
from tests.data_sets import cosod, refcoco

LISA = WORDINGS["lisa"]


@pytest.mark.parametrize(
    ("part", "place"), [("coca", "CoCA"), ("cosod3k", "."), ("cosal2015", ".")]
)
def test_right_answers_score_1(part: str, place: str, tmp_path: Path):
    cosod.write(tmp_path / place)
    (benchmark,) = open_benchmark(f"cosod:{part}", tmp_path, LISA)
    assert benchmark.task == "saliency"
    assert [picture.key for picture in benchmark.pictures] == list(cosod.MASKS)
    for picture in benchmark.pictures:
        mask = cosod.MASKS[picture.key]
        assert np.array_equal(picture.mask(), mask)
        assert picture.open().size == mask.shape[::-1]
    cosod.write_maps(tmp_path / "maps")
    found = {
        one.name: one.value for one in score_saliency(benchmark, tmp_path / "maps", show=False)
    }
    assert found["MAE"] == 0
    for name in ("S", "max F", "adaptive F"):
        assert found[name] == pytest.approx(1, abs=1e-6)
    assert found["max E"] == pytest.approx(1, abs=1e-2)


def test_maps_may_lie_below_the_name_of_the_data_set(tmp_path: Path):
    cosod.write(tmp_path)
    (benchmark,) = open_benchmark("cosod:coca", tmp_path, LISA)
    cosod.write_maps(tmp_path / "maps" / "CoCA")
    figures = score_saliency(benchmark, tmp_path / "maps", show=False)
    assert figures[0].n == len(cosod.MASKS)


def test_what_is_wrong_is_told(tmp_path: Path):
    cosod.write(tmp_path)
    (benchmark,) = open_benchmark("cosod:coca", tmp_path, LISA)
    maps = tmp_path / "maps"
    cosod.write_maps(maps)
    path = maps / "ball" / "cafe.5.png"
    Image.new("L", (9, 9)).save(path)
    with pytest.raises(DataError, match=r"ball/cafe.5: a map of \(9, 9\) and a mask of \(36, 60\)"):
        score_saliency(benchmark, maps, show=False)
    Image.new("RGB", (60, 36), (200, 10, 10)).save(path)
    with pytest.raises(DataError, match="cafe.5.png' must be a grey picture"):
        score_saliency(benchmark, maps, show=False)
    path.unlink()
    with pytest.raises(DataError, match=r"has no map ball/cafe.5.png; 1 of 3 are missing"):
        score_saliency(benchmark, maps, show=False)
    with pytest.raises(ConfigError, match="cosod:coca is answered by a model of co-salient"):
        benchmark.require_masks()
    for mask in (tmp_path / "binary").rglob("*.png"):
        mask.unlink()
    with pytest.raises(DataError, match="has no masks: they must be <group>/<name>.png"):
        open_benchmark("cosod:coca", tmp_path, LISA)
    refcoco.write(tmp_path)
    (masks,) = open_benchmark("refcoco:val", tmp_path, LISA)
    with pytest.raises(ConfigError, match="refcoco:val has no maps to score"):
        score_saliency(masks, maps)
