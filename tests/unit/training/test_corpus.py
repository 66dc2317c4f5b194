from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lisa.data.scenes import WIDE, CutoutLibrary, Variation, compose_scene
from lisa.errors import DataError
from lisa.models.backbone import vision_tower_states
from tests.tiny_nano import MAPS, library, nano_model, nano_processor
from training.nano import corpus as module
from training.nano.corpus import Corpus, batches, build_corpus

SEEDS = range(100, 105)


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory: pytest.TempPathFactory) -> CutoutLibrary:
    names = ("ant", "bus", "cup", "drum", "egg", "fan")
    return library(tmp_path_factory.mktemp("cutouts"), {name: (f"{name}.png",) for name in names})


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)


def built(folder: Path, cutouts: CutoutLibrary, seeds: range = SEEDS) -> Corpus:
    return build_corpus(folder, nano_model(), nano_processor(), cutouts, seeds)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_scenes_and_maps_come_back(tmp_path: Path, cutouts: CutoutLibrary) -> None:
    model, processor = nano_model(), nano_processor()
    corpus = build_corpus(tmp_path, model, processor, cutouts, SEEDS)
    assert len(corpus) == len(SEEDS)
    for index, seed in enumerate(SEEDS):
        scene, kept = compose_scene(cutouts, seed, variation=WIDE), corpus[index]
        assert (kept.seed, kept.names) == (seed, scene.names)
        assert np.array_equal(kept.masks, np.stack([item.mask for item in scene.objects]))
        assert kept.image.original_size == (scene.image.height, scene.image.width)
        frame = processor.transform(scene.image)[0]
        with torch.no_grad():
            expected = vision_tower_states(model.backbone, frame[None])
        assert [state.shape[2] for state in kept.image.vision_states] == list(MAPS)
        for one, other in zip(kept.image.vision_states, expected, strict=True):
            torch.testing.assert_close(one, other, atol=2e-3, rtol=2e-3)  # kept in half precision


def test_an_interrupted_build_goes_on_to_the_same_files(
    tmp_path: Path, cutouts: CutoutLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(tmp_path / "whole", cutouts)
    calls = []

    def compose(library: CutoutLibrary, seed: int, variation: Variation):
        calls.append(seed)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return compose_scene(library, seed, variation=variation)

    monkeypatch.setattr(module, "compose_scene", compose)
    with pytest.raises(KeyboardInterrupt):
        built(tmp_path / "parts", cutouts)
    assert len((tmp_path / "parts" / "scenes.jsonl").read_text().splitlines()) == 2
    built(tmp_path / "parts", cutouts)
    assert calls[4:] == [102, 103, 104]
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    built(tmp_path / "parts", cutouts)
    assert len(calls) == 7
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_a_line_cut_short_is_written_again(tmp_path: Path, cutouts: CutoutLibrary) -> None:
    built(tmp_path, cutouts)
    expected = contents(tmp_path)
    index = tmp_path / "scenes.jsonl"
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(lines[:2]) + lines[2][:20])
    built(tmp_path, cutouts)
    assert contents(tmp_path) == expected


@pytest.mark.parametrize("seeds", [range(100, 109), range(100, 103), range(200, 205)])
def test_a_corpus_of_other_scenes_is_one_sentence(
    tmp_path: Path, cutouts: CutoutLibrary, seeds: range
) -> None:
    built(tmp_path, cutouts)
    with pytest.raises(DataError, match=r"holds other scenes than the recipe.*--work"):
        built(tmp_path, cutouts, seeds)


def test_every_epoch_is_a_permutation() -> None:
    drawn = [index for batch in batches(7, 3, 14, seed=1) for index in batch]
    epochs = [drawn[begin : begin + 7] for begin in range(0, len(drawn), 7)]
    assert len(epochs) == 6
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_batches_depend_on_the_seed_alone() -> None:
    once, again = (list(batches(7, 3, 5, seed=1)) for _ in range(2))
    assert once == again
    assert [len(batch) for batch in once] == [3] * 5
    assert list(batches(7, 3, 9, seed=1))[:5] == once
    assert list(batches(7, 3, 5, seed=2)) != once


def test_batches_may_be_larger_than_the_corpus() -> None:
    (batch,) = batches(2, 5, 1, seed=0)
    assert len(batch) == 5
    assert set(batch) == {0, 1}
