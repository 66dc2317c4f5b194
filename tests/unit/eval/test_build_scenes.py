"""The builder of the fixed scenes, on made-up cut-outs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.nano.build_scenes import (
    FIRST_SEED,
    click_point,
    main,
    make_plans,
    shown_cutouts,
    write_scenes,
)
from eval.nano.cutout_licences import EXCLUDED, may_be_shown
from eval.nano.read_scenes import load_scenes
from lisa.data.knowledge import load_knowledge

knowledge = load_knowledge()


@pytest.fixture(scope="module")
def stamps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stamps")
    disc = np.zeros((48, 64, 4), np.uint8)
    rows, columns = np.mgrid[:48, :64]
    disc[((rows - 24) / 24) ** 2 + ((columns - 32) / 32) ** 2 < 1] = 200
    for paths in shown_cutouts(knowledge).values():
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(disc).save(folder / path)
    return folder


def test_click_is_the_most_interior_pixel() -> None:
    mask = np.zeros((20, 30), bool)
    mask[0:9, 10:17] = True
    assert click_point(mask)[0] == 13.5
    mask[:] = False
    mask[4, 7] = True
    assert click_point(mask) == (7.5, 4.5)


def test_plans_are_balanced_and_unmistakable() -> None:
    plans = list(make_plans(knowledge, 400))
    assert sum(plan.unseen is not None for plan in plans) == 60
    asked = Counter(plan.main for plan in plans)
    assert max(asked.values()) - min(asked.values()) <= 1
    for plan in plans:
        assert min(plan.seeds) >= FIRST_SEED
        assert all(may_be_shown(cutout) for cutout in plan.cutouts.values())
        for name in plan.names:
            others = [other for other in plan.names if other != name]
            assert not any(knowledge.answers_to(other, name) for other in others)
    seeds = [seed for plan in plans for seed in plan.seeds]
    assert len(set(seeds)) == len(seeds)


def test_half_of_the_objects_with_two_sorts_of_cutouts_show_a_held_out_one() -> None:
    allowed = shown_cutouts(knowledge)
    held_out = Counter[bool]()
    for plan in make_plans(knowledge, 400):
        for name, cutout in plan.cutouts.items():
            if len({c in knowledge.held_out_stamps for c in allowed[name]}) == 2:
                held_out[cutout in knowledge.held_out_stamps] += 1
    assert 0.4 < held_out[True] / held_out.total() < 0.6


def test_excluded_cutouts_are_spelt_as_the_table_spells_them() -> None:
    stamps = {stamp for item in knowledge.objects.values() for stamp in item.stamps}
    folded = {stamp.lower(): stamp for stamp in stamps}
    assert all(folded.get(path.lower(), path) == path for path in EXCLUDED)


def test_building_twice_gives_the_same_scenes(stamps: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_scenes(tmp_path / name, stamps, count=12)
    first, second = (load_scenes(tmp_path / name) for name in ("first", "second"))
    assert [p.sha256 for p in first] == [p.sha256 for p in second]
    assert [p.questions for p in first] == [p.questions for p in second]
    assert len(first) == 12


def test_a_folder_without_cutouts_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--stamps", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "tuxpaint-stamps-default" in capsys.readouterr().err
