"""The questions about real photographs: the right pictures, and outlines that lie in them."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from eval.nano.pictures import OutlinedShape, Picture
from eval.nano.read_photographs import KINDS, PHOTOGRAPHS, load_photographs
from lisa.errors import DataError

LICENCES = {"CC0-1.0", "CC-BY-2.0", "public domain", "no known copyright restrictions"}

photographs = load_photographs()
each_photograph = pytest.mark.parametrize(
    "photograph", photographs, ids=[photograph.path.stem for photograph in photographs]
)


@each_photograph
def test_picture_is_the_one_the_outlines_were_drawn_on(photograph: Picture) -> None:
    pytest.importorskip({"mpl-data": "matplotlib"}.get(photograph.path.parts[-3], "PIL"))
    image = photograph.open()
    assert (image.height, image.width) == photograph.size


@each_photograph
def test_outlines_lie_inside_and_are_not_tiny(photograph: Picture) -> None:
    height, width = photograph.size
    for item in photograph.objects:
        assert isinstance(item.shape, OutlinedShape)
        for polygon in (*item.shape.polygons, *item.shape.holes):
            xs, ys = np.array(polygon).reshape(-1, 2).T
            assert xs.min() >= 0
            assert ys.min() >= 0
            assert xs.max() <= width
            assert ys.max() <= height
        assert item.mask.mean() > 0.003, item.name
        assert item.mask.mean() < 0.8, item.name


@each_photograph
def test_questions_are_distinct(photograph: Picture) -> None:
    texts = [question.text for question in photograph.questions]
    assert len(set(texts)) == len(texts)
    assert {q.target for q in photograph.questions} == set(range(len(photograph.objects)))


def test_there_are_enough_questions_of_each_kind() -> None:
    kinds = Counter(q.subsets[0] for p in photographs for q in p.questions)
    assert sum(kinds.values()) >= 20
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 10
    keys = [q.key for p in photographs for q in p.questions]
    assert len(set(keys)) == len(keys)


def test_every_photograph_names_its_maker_and_a_free_licence() -> None:
    for record in json.loads(PHOTOGRAPHS.read_text(encoding="utf-8"))["photographs"]:
        assert record["licence"] in LICENCES
        assert record["creator"]
        assert record["source"]


def test_another_picture_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    document = json.loads(PHOTOGRAPHS.read_text(encoding="utf-8"))
    document["photographs"][0]["sha256"] = "0" * 64
    changed = tmp_path / "photographs.json"
    changed.write_text(json.dumps(document))
    with pytest.raises(DataError, match="is not the picture"):
        load_photographs(changed)[0].open()


def test_another_schema_version_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    changed = tmp_path / "photographs.json"
    changed.write_text('{"schema_version": 99}')
    with pytest.raises(DataError, match="schema version 99"):
        load_photographs(changed)
