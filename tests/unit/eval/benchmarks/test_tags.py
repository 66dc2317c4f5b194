"""Lists of tags are read in their released forms, and predictions of every form are scored."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from eval.benchmarks import Benchmark, open_benchmark
from eval.benchmarks.tags import LISTS, score_tags
from lisa.data.wordings import WORDINGS
from lisa.errors import ConfigError, DataError
from tests.data_sets import refcoco, tagging

LISA = WORDINGS["lisa"]
PARTS = [part for part in LISTS if "/" not in part]


def opened(part: str, data: Path) -> Benchmark:
    (benchmark,) = open_benchmark(f"tagging:{part}", data, LISA)
    return benchmark


def scores(benchmark: Benchmark, path: Path, **options) -> dict[str, float | None]:
    return {one.name: one.value for one in score_tags(benchmark, path, **options)}


def write_pred(path: Path, names: list[str], values: np.ndarray) -> Path:
    rows = [
        [name, *(tag for tag, value in zip(tagging.TAGS, row, strict=True) if value > 0.5)]
        for name, row in zip(names, values, strict=True)
    ]
    (path / "pred.txt").write_text("".join(",".join(row) + "\n" for row in rows))
    return path / "pred.txt"


def write_lines(path: Path, names: list[str], values: np.ndarray) -> Path:
    lines = [
        {
            "image": name,
            "tags": {t: float(v) for t, v in zip(tagging.TAGS, row, strict=True) if v},
        }
        for name, row in zip(names, values, strict=True)
    ]
    (path / "tags.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[::-1]))
    return path / "tags.jsonl"


def write_table(path: Path, names: list[str], values: np.ndarray) -> Path:
    with (path / "tags.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *tagging.TAGS])
        writer.writerows([name, *map(float, row)] for name, row in zip(names, values, strict=True))
    return path / "tags.csv"


def write_probabilities(path: Path, names: list[str], values: np.ndarray) -> Path:
    save_file({"probabilities": values.astype(np.float32)}, path / "tags.safetensors")
    return path / "tags.safetensors"


def write_logits(path: Path, names: list[str], values: np.ndarray) -> Path:
    logits = np.log(np.clip(values, 1e-6, 1 - 1e-6) / (1 - np.clip(values, 1e-6, 1 - 1e-6)))
    save_file({"logits": logits}, path / "logits.safetensors")
    return path / "logits.safetensors"


def write_pth(path: Path, names: list[str], values: np.ndarray) -> Path:
    torch.save(torch.from_numpy(values).float(), path / "logits.pth")
    return path / "logits.pth"


Writer = Callable[[Path, list[str], np.ndarray], Path]
WITH_ORDER: list[Writer] = [write_lines, write_table, write_probabilities, write_logits, write_pth]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("write", [*WITH_ORDER, write_pred])
def test_right_answers_score_1(part: str, write: Writer, tmp_path: Path):
    tagging.write(tmp_path)
    benchmark = opened(part, tmp_path)
    assert (benchmark.task, len(benchmark.pictures)) == ("tags", len(tagging.PICTURES))
    right = tagging.shown()
    found = scores(benchmark, write(tmp_path, tagging.picture_names(part), right))
    decided = write is write_pred
    for name in ("mAP", "CP", "CR"):
        assert found.get(name) == (
            None if decided and name == "mAP" else pytest.approx(1, abs=1e-6)
        )


@pytest.mark.parametrize("write", WITH_ORDER)
def test_all_forms_say_the_same(write: Writer, tmp_path: Path):
    tagging.write(tmp_path)
    benchmark = opened("openimages_rare_200", tmp_path)
    names = tagging.picture_names("openimages_rare_200")
    values = np.random.default_rng(0).random((len(names), len(tagging.TAGS))).round(3)
    found = scores(benchmark, write(tmp_path, names, values))
    wanted = scores(benchmark, write_lines(tmp_path, names, values))
    assert found == pytest.approx(wanted)
    assert 0 < wanted["mAP"] < 1


def test_the_pictures_and_their_places(tmp_path: Path):
    tagging.write(tmp_path / "datasets")
    for part in PARTS:
        benchmark = opened(part, tmp_path)
        names = tagging.picture_names(part)
        assert [picture.key for picture in benchmark.pictures] == names
        suffix = "" if names[0].endswith(".jpg") else ".jpg"
        folder = tmp_path / "datasets" / LISTS[part].folder / "imgs"
        assert benchmark.pictures[0].file == folder / f"{names[0]}{suffix}"
        shown = [picture.shown for picture in benchmark.pictures]
        assert shown == [(0, 1), (2,), (1, 3), ()]


def test_the_numbers_of_tag2text(tmp_path: Path):
    tagging.write(tmp_path)
    benchmark = opened("openimages_common_214/tag2text", tmp_path)
    assert benchmark.pictures.tags == ("7", "17", "27", "37")
    path = tmp_path / "tags.jsonl"
    lines = [
        {"image": picture.key, "tags": {benchmark.pictures.tags[n]: 1.0 for n in picture.shown}}
        for picture in benchmark.pictures
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert scores(benchmark, path)["mAP"] == pytest.approx(1)


def test_a_tag_that_is_there_twice_is_shown_twice(tmp_path: Path):
    tagging.write(tmp_path)
    folder = tmp_path / "openimages_rare_200"
    with (folder / "openimages_rare_200_ram_taglist.txt").open("a") as file:
        file.write("tree\n")
    benchmark = opened("openimages_rare_200", tmp_path)
    assert benchmark.pictures[0].shown == (0, 4, 1)
    path = write_lines(tmp_path, list(tagging.PICTURES), tagging.shown())
    assert scores(benchmark, path)["mAP"] == pytest.approx(1)


def test_a_picture_that_is_there_twice_counts_twice(tmp_path: Path):
    tagging.write(tmp_path)
    folder = tmp_path / "openimages_rare_200"
    with (folder / "openimages_rare_200_ram_annots.txt").open("a") as file:
        file.write("0a1b2c/000026e7ee790996,tree,house\n")
    benchmark = opened("openimages_rare_200", tmp_path)
    assert benchmark.pictures[4].key == "0a1b2c/000026e7ee790996/1"
    path = write_lines(tmp_path, list(tagging.PICTURES), tagging.shown())
    assert scores(benchmark, path)["mAP"] == pytest.approx(1)


def test_thresholds(tmp_path: Path):
    tagging.write(tmp_path)
    benchmark = opened("hico", tmp_path)
    names = tagging.picture_names("hico")
    path = write_table(tmp_path, names, 0.6 * tagging.shown())
    assert scores(benchmark, path)["CR"] == pytest.approx(1)
    assert scores(benchmark, path, threshold=0.7)["CR"] == 0
    each = tmp_path / "thresholds.txt"
    each.write_text("0.5\n0.5\n0.9\n0.9\n")
    assert scores(benchmark, path, threshold=each)["CR"] == pytest.approx(0.5)
    each.write_text("0.5\n")
    with pytest.raises(DataError, match="has 1 thresholds for 4 tags"):
        score_tags(benchmark, path, each)
    each.write_text("many\n")
    with pytest.raises(DataError, match="must have a number on each line"):
        score_tags(benchmark, path, each)
    with pytest.raises(ConfigError, match="A threshold must be from 0 to 1, not 65"):
        score_tags(benchmark, path, 65)


def test_damaged_predictions_are_told(tmp_path: Path):
    tagging.write(tmp_path)
    benchmark = opened("openimages_rare_200", tmp_path)
    names, right = list(tagging.PICTURES), tagging.shown()

    def refused(path: Path, match: str) -> None:
        with pytest.raises(DataError, match=match):
            score_tags(benchmark, path)

    refused(tmp_path / "nothing.csv", "holds no predicted tags: give pred.txt")
    refused(tmp_path, "holds no predicted tags: give pred.txt")
    refused(write_lines(tmp_path, names[1:], right[1:]), "1 of 4 pictures are missing")
    refused(write_lines(tmp_path, ["x", *names[1:]], right), "'x' is no picture of the data set")
    refused(write_lines(tmp_path, [names[1], *names[1:]], right), "is there twice")
    refused(write_lines(tmp_path, names, 2 * right), "no probabilities from 0 to 1")
    refused(write_lines(tmp_path, names, np.nan * right), "no probabilities from 0 to 1")
    refused(write_probabilities(tmp_path, names, right[:3]), r"shape \(3, 4\), but there are 4")
    path = tmp_path / "tags.jsonl"
    path.write_text('{"image": "0a1b2c/000026e7ee790996", "tags": {"unicorn": 1}}\n')
    refused(path, "'unicorn' is not in the list of tags")
    for text in ("no JSON", "[]", "7", '{"image": "0a1b2c/000026e7ee790996", "tags": "tree"}'):
        path.write_text(f"{text}\n")
        refused(path, "is of another form")
    path.write_text('{"image": "0a1b2c/000026e7ee790996", "tags": {"tree": 1%s}}\n' % ("0" * 400))
    refused(path, "is of another form")
    path = tmp_path / "tags.csv"
    path.write_text("image,tree\n")
    refused(path, "the first line must be 'image' and all tags")
    path.write_text("image,tree,house,street light,dog\nx,1\n")
    refused(path, "line 2 has 2 columns, not 5")
    path = tmp_path / "tags.safetensors"
    path.write_bytes(b"no tensors")
    refused(path, "is no file of tensors")
    save_file({"other": right}, path)
    refused(path, "must have the tensor 'probabilities' or 'logits', not other")
    path = tmp_path / "logits.pth"
    path.write_bytes(b"no tensors")
    refused(path, "cannot be read as a tensor")
    torch.save({"a": 1}, path)
    refused(path, "must hold one tensor, not dict")


def test_damaged_lists_are_told(tmp_path: Path):
    tagging.write(tmp_path)
    path = tmp_path / "hico" / "hico_600_annots.txt"
    path.write_text("HICO_test2015_00000002.jpg,4\n")
    with pytest.raises(DataError, match="hico_600_annots.txt:1: '4' is no line of the list of 4"):
        opened("hico", tmp_path)
    path.write_text("\n")
    with pytest.raises(DataError, match="hico_600_annots.txt' is empty"):
        opened("hico", tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="is not complete: there is no .*hico_600_annots.txt"):
        opened("hico", tmp_path)
    path = tmp_path / "openimages_rare_200" / "openimages_rare_200_ram_annots.txt"
    path.write_text("a/b,tree\nc/d,unicorn\n")
    with pytest.raises(DataError, match="annots.txt:2: 'unicorn' is not in the list of tags"):
        opened("openimages_rare_200", tmp_path)


def test_a_model_of_masks_is_refused(tmp_path: Path):
    tagging.write(tmp_path)
    with pytest.raises(ConfigError, match="tagging:hico is answered by a tagging model.*lisa eval"):
        opened("hico", tmp_path).require_masks()
    refcoco.write(tmp_path)
    (masks,) = open_benchmark("refcoco:val", tmp_path, LISA)
    with pytest.raises(ConfigError, match="refcoco:val has no tags to score"):
        score_tags(masks, tmp_path)
