from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lisa.data.scenes import PLAIN, WIDE, CutoutLibrary, Scene, compose_scene
from lisa.data.scenes.compose import CANVAS, MIN_AREA
from lisa.data.scenes.cutouts import LONGEST_SIDE
from lisa.errors import DataError
from tests.tiny_nano import library, write_cutouts

FILES = {
    "cow": ("cow_a.png", "cow_b.png"),
    **{name: (f"{name}.png",) for name in ("bus", "cup", "drum", "egg", "fan")},
}
SEEDS = range(12)


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory: pytest.TempPathFactory) -> CutoutLibrary:
    return library(tmp_path_factory.mktemp("cutouts"), FILES)


@pytest.fixture(scope="module")
def scenes(cutouts: CutoutLibrary) -> list[Scene]:
    return [compose_scene(cutouts, seed) for seed in SEEDS]


def same(one: Scene, other: Scene) -> bool:
    return (
        one.image.tobytes() == other.image.tobytes()
        and [(o.name, o.cutout, o.box) for o in one.objects]
        == [(o.name, o.cutout, o.box) for o in other.objects]
        and all(
            np.array_equal(a.mask, b.mask) for a, b in zip(one.objects, other.objects, strict=True)
        )
    )


def test_a_scene_depends_on_its_seed_alone(cutouts: CutoutLibrary, scenes: list[Scene]) -> None:
    """Neither on scenes composed before nor on what the library has read already."""
    fresh = CutoutLibrary(cutouts.root, FILES)
    again = [compose_scene(fresh, seed) for seed in reversed(SEEDS)]
    assert all(same(one, other) for one, other in zip(scenes, reversed(again), strict=True))
    assert not same(scenes[0], scenes[1])


def test_pictures_and_masks_have_one_size(scenes: list[Scene]) -> None:
    sizes = {scene.image.size for scene in scenes}
    assert all(max(size) == CANVAS for size in sizes)
    assert len(sizes) > 1
    for scene in scenes:
        assert scene.image.mode == "RGB"
        assert 1 <= len(scene.objects) <= 5
        for item in scene.objects:
            assert item.mask.shape == (scene.image.height, scene.image.width)
            assert item.mask.dtype == bool


def test_masks_are_disjoint_and_enough_is_visible(scenes: list[Scene]) -> None:
    for scene in scenes:
        stacked = np.stack([item.mask for item in scene.objects])
        assert stacked.sum(axis=0).max() == 1
        assert stacked.sum(axis=(1, 2)).min() >= MIN_AREA


def test_masks_lie_where_the_objects_are(tmp_path: Path) -> None:
    """An object of one colour: its mask holds that colour, and nothing outside comes near."""
    Image.new("RGBA", (64, 64), (255, 0, 255, 255)).save(tmp_path / "one.png")
    scene = compose_scene(CutoutLibrary(tmp_path, {"one": ("one.png",)}), 3, names=["one"])
    pixels = np.asarray(scene.image).astype(int)
    purple = (pixels[..., 0] - pixels[..., 1] > 100) & (pixels[..., 2] - pixels[..., 1] > 100)
    mask = scene.objects[0].mask
    assert (purple & mask).sum() / (purple | mask).sum() > 0.97


def test_names_and_cutouts_are_those_asked_for(cutouts: CutoutLibrary) -> None:
    for seed in SEEDS:
        scene = compose_scene(
            cutouts, seed, names=["egg", "cow", "bus"], cutouts={"cow": "cow_b.png"}
        )
        assert set(scene.names) <= {"egg", "cow", "bus"}
        assert {o.cutout for o in scene.objects if o.name == "cow"} <= {"cow_b.png"}
        assert len(scene.objects) >= 2
    drawn = {compose_scene(cutouts, seed, names=["cow"]).objects[0].cutout for seed in SEEDS}
    assert drawn == {"cow_a.png", "cow_b.png"}
    assert compose_scene(cutouts, 7, names=["cow"]).seed == 7


def test_names_without_cutouts_are_left_out(cutouts: CutoutLibrary) -> None:
    opened = CutoutLibrary(cutouts.root, {**FILES, "ghost": ()})
    assert opened.names == tuple(sorted(FILES))


def test_cutouts_are_trimmed_and_small(tmp_path: Path) -> None:
    pixels = np.zeros((900, 700, 4), np.uint8)
    pixels[100:700, 200:500] = 255
    Image.fromarray(pixels).save(tmp_path / "big.png")
    cutout = CutoutLibrary(tmp_path, {"big": ("big.png",)}).load("big.png")
    assert cutout.size == (LONGEST_SIDE // 2, LONGEST_SIDE)
    assert np.asarray(cutout.getchannel("A")).min() == 255


def test_missing_cutouts_are_one_sentence(tmp_path: Path) -> None:
    write_cutouts(tmp_path, ["there.png"])
    with pytest.raises(DataError, match=r"2 cut-outs are not under .*first: gone\.png"):
        CutoutLibrary(tmp_path, {"a": ("there.png", "gone.png"), "b": ("also_gone.png",)})


def test_cutouts_without_anything_in_them_are_one_sentence(tmp_path: Path) -> None:
    Image.new("RGBA", (30, 30), (9, 9, 9, 127)).save(tmp_path / "clear.png")
    (tmp_path / "text.png").write_text("no picture")
    opened = CutoutLibrary(tmp_path, {"clear": ("clear.png",), "text": ("text.png",)})
    with pytest.raises(DataError, match=r"clear\.png has no opaque pixel"):
        opened.load("clear.png")
    with pytest.raises(DataError, match=r"text\.png cannot be read"):
        opened.load("text.png")


def test_wide_variation_changes_looks_and_keeps_masks_true(cutouts: CutoutLibrary) -> None:
    for seed in list(SEEDS)[:10]:
        plain = compose_scene(cutouts, seed, names=["cow"], variation=PLAIN)
        wide = compose_scene(cutouts, seed, names=["cow"], variation=WIDE)
        again = compose_scene(cutouts, seed, names=["cow"], variation=WIDE)
        assert wide.image.tobytes() == again.image.tobytes() != plain.image.tobytes()
        assert wide.image.mode == "RGB"
        assert wide.objects[0].mask.shape == (wide.image.height, wide.image.width)
        assert wide.objects[0].mask.sum() >= MIN_AREA
