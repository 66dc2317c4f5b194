"""PSG is read in its released form, and predictions of two forms are scored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.benchmarks import Benchmark, open_benchmark
from eval.benchmarks.relations import score_relations
from lisa.data.readers.psg import Psg, SceneRelation
from lisa.data.wordings import WORDINGS
from lisa.errors import ConfigError, DataError
from tests.data_sets import psg, refcoco

LISA = WORDINGS["lisa"]
WALK, HILL = psg.TESTED


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    psg.write(tmp_path / "data")
    (opened,) = open_benchmark("psg", tmp_path / "data", LISA)
    return opened


def scores(benchmark: Benchmark, path: Path) -> dict[str, float | None]:
    return {one.name: one.value for one in score_relations(benchmark, path, show=False)}


def write_lines(path: Path, *lines: dict) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def right_lines() -> list[dict]:
    return [psg.line(row, [(*relation, 1.0) for relation in row[5]]) for row in psg.TESTED]


def test_the_pictures_with_relations_are_scored(benchmark: Benchmark, tmp_path: Path):
    assert (benchmark.name, benchmark.task) == ("psg:test", "relations")
    assert [picture.key for picture in benchmark.pictures] == ["107902", "2400"]
    for picture, row in zip(benchmark.pictures, psg.TESTED, strict=True):
        graph = picture.graph()
        assert np.array_equal(graph.masks, psg.masks(row))
        assert graph.labels == tuple(category for category, _ in row[4])
        assert picture.open().size == row[3][::-1]
        assert picture.questions == ()
    # A relation that is there twice counts once; a pair may have several predicates.
    walk = benchmark.pictures[0].scene.relations
    assert walk == tuple(map(SceneRelation._make, ([0, 1, 2], [0, 2, 3], [1, 2, 3], [0, 1, 4])))
    (train,) = open_benchmark("psg:train", tmp_path / "data", LISA)
    assert [picture.key for picture in train.pictures] == ["2343"]


def test_the_folder_may_be_that_of_psg(benchmark: Benchmark, tmp_path: Path):
    (again,) = open_benchmark("psg:test", tmp_path / "data" / "psg", LISA)
    assert [one.key for one in again.pictures] == [one.key for one in benchmark.pictures]
    assert again.pictures[0].open().size == WALK[3][::-1]


@pytest.mark.parametrize("given", ["submission", "submission/relation.json", "."])
def test_right_answers_as_a_submission(benchmark: Benchmark, tmp_path: Path, given: str):
    psg.write_submission(tmp_path / "submission")
    found = scores(benchmark, tmp_path / given)
    assert found["R@20"] == found["R@100"] == found["phrase R@50"] == 1
    assert found["mR@20 (predicates that occur)"] == 1


def test_right_answers_as_json_lines(benchmark: Benchmark, tmp_path: Path):
    # Of the pair with two predicates only the surer one counts, so one of four is out of reach.
    found = scores(benchmark, write_lines(tmp_path / "mine.jsonl", *right_lines()))
    assert found["R@20"] == pytest.approx((3 / 4 + 1) / 2)
    numbers = right_lines()
    classes = (*psg.THINGS, *psg.STUFF)
    for line in numbers:
        for segment in line["segments"]:
            segment["category"] = classes.index(segment["category"])
        for relation in line["relations"]:
            relation["predicate"] = psg.PREDICATES.index(relation["predicate"])
    again = scores(benchmark, write_lines(tmp_path / "numbers.jsonl", *reversed(numbers)))
    assert again == found


def test_the_score_decides_which_predicate_of_a_pair_counts(benchmark: Benchmark, tmp_path: Path):
    wrong_first = [(1, 0, 2, 0.2), (1, 0, 0, 0.9)]
    right_first = [(1, 0, 2, 0.9), (1, 0, 0, 0.2)]
    for relations, recall in ((wrong_first, 1), (right_first, 0)):
        lines = write_lines(tmp_path / "one.jsonl", psg.line(HILL, relations))
        assert scores(benchmark, lines)["R@20"] == recall


def test_pictures_without_predictions_are_counted_both_ways(benchmark: Benchmark, tmp_path: Path):
    psg.write_submission(tmp_path, (HILL,))
    found = scores(benchmark, tmp_path)
    assert found["R@20"] == 1
    assert found["R@20 (empty predictions count 0)"] == 0.5


def test_damaged_submissions_are_told(benchmark: Benchmark, tmp_path: Path):
    def refused(match: str) -> None:
        with pytest.raises(DataError, match=match):
            score_relations(benchmark, tmp_path, show=False)

    refused("holds no predicted relations: give a submission's folder")
    psg.write_submission(tmp_path)
    path = tmp_path / "relation.json"
    entries = json.loads(path.read_text())
    changes = [
        ("pan_seg_file_name", "2.png", "predictions for picture 2, but the split has only 2"),
        ("pan_seg_file_name", "hill.png", "must be the picture's place in the split"),
        ("relations", [[0, 7, 1]], r"107902: .*object=7.* names a segment that is not among 3"),
        ("relations", [[0, 1, 0]], "predicate 0 is not from 1 to 5"),
        ("relations", [[0, 1]], "it is of another form"),
        ("segments_info", [{"id": 1, "category_id": 1}] * 1001, "0.png has 1,001 segments"),
        ("segments_info", [{"id": 1, "category_id": 6}], "category_id 6 is not from 1 to 5"),
    ]
    for key, value, match in changes:
        path.write_text(json.dumps([{**entries[0], key: value}, entries[1]]))
        refused(match)
    path.write_text(json.dumps(entries))
    Image.new("RGB", (9, 9)).save(tmp_path / "panseg" / "0.png")
    refused("must be an RGB picture of 40 x 56 pixels")
    (tmp_path / "panseg" / "0.png").unlink()
    refused("0.png' cannot be read as a mask")


def test_damaged_lines_are_told(benchmark: Benchmark, tmp_path: Path):
    walk, hill = right_lines()
    path = tmp_path / "mine.jsonl"

    def refused(match: str, *lines: dict) -> None:
        write_lines(path, *lines)
        with pytest.raises(DataError, match=match):
            score_relations(benchmark, path, show=False)

    refused("'107902' is there twice", walk, walk)
    refused("'1' which is no picture of the split|'1', which is no", {**walk, "image_id": 1})
    refused(":1: a line must be an object with 'image_id'", [])
    huge = {"size": [100_000, 100_000], "counts": "00"}
    segments = [{"category": "dog", "mask": huge}]
    refused("100000 x 100000 pixels is above the limit", {**walk, "segments": segments})
    other = [{"category": "dog", "mask": {"size": [9, 9], "counts": "00"}}]
    refused(r"a mask is of \[9, 9\] pixels, the picture of \[40, 56\]", {**walk, "segments": other})
    unknown = [{**walk["segments"][0], "category": "unicorn"}]
    refused("there is no category 'unicorn'", {**walk, "segments": unknown})
    beyond = [{**walk["relations"][0], "predicate": 5}]
    refused("predicate 5 is not from 0 to 4", {**walk, "relations": beyond})
    refused("it is of another form", {"image_id": walk["image_id"]})
    unsure = [{**walk["relations"][0], "score": float("nan")}]
    refused("a score must be a number, not nan", {**walk, "relations": unsure})
    endless = [{**walk["relations"][0], "subject": float("inf")}]
    refused("it is of another form", {**walk, "relations": endless})
    many = walk["segments"] * 400
    refused("it has 1,200 segments, at most 1,000 are read", {**walk, "segments": many})


def test_damaged_data_are_told(tmp_path: Path):
    psg.write(tmp_path)
    path = tmp_path / "psg" / "psg.json"
    document = json.loads(path.read_text())
    for relations, match in (
        ([[0, 9, 1]], r"image_id '107902': the relation \[0, 9, 1\] names a segment"),
        ([[0, 1, 5]], "names a predicate that is not there"),
        ([[0]], "it is of another form"),
    ):
        document["data"][0]["relations"] = relations
        path.write_text(json.dumps(document))
        with pytest.raises(DataError, match=match):
            Psg(path, tmp_path / "coco", "test")[0]
    document["data"][0]["segments_info"][0]["category_id"] = 5
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match="a 'category_id' is not from 0 to 4"):
        Psg(path, tmp_path / "coco", "test")[0]
    path.write_text("{}")
    with pytest.raises(DataError, match="must have the lists data, thing_classes"):
        Psg(path, tmp_path / "coco", "test")


def test_a_model_of_masks_is_refused(benchmark: Benchmark):
    with pytest.raises(
        ConfigError, match="psg:test is answered by a model of relations.*lisa eval"
    ):
        benchmark.require_masks()


def test_a_benchmark_of_masks_has_no_relations(tmp_path: Path):
    refcoco.write(tmp_path)
    (masks,) = open_benchmark("refcoco:val", tmp_path, LISA)
    masks.require_masks()
    with pytest.raises(ConfigError, match="refcoco:val has no relations to score"):
        score_relations(masks, tmp_path)
