"""Every benchmark of masks opens on a data set in its released format and asks what it should."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from eval.benchmarks import FAMILIES, known_benchmarks, open_benchmark, takes_data
from eval.metrics import score
from eval.nano.pictures import GROUPS
from lisa.data.wordings import WORDINGS
from lisa.errors import ConfigError, DataError, LisaError
from tests.data_sets import (
    d3,
    dataset_folder,
    grefcoco,
    own_jsonl,
    reason_seg,
    reason_seg_parquet,
    ref_zom,
    refcoco,
)
from tests.unit.eval.benchmarks.judging import right_answers, silence

LISA = WORDINGS["lisa"]


@dataclass(frozen=True)
class Case:
    """A benchmark, its fixture, where LISA's layout has it, and what is asked by subset."""

    name: str
    write: Callable[[Path], None]
    place: str
    asked: int
    subsets: dict[str, int]


REFER = "refer_seg"
CASES = [
    Case("reasonseg:val", reason_seg.write, "reason_seg/ReasonSeg", 1, {"long": 1}),
    Case("reasonseg:test", reason_seg.write, "reason_seg/ReasonSeg", 1, {"short": 1}),
    Case("reasonseg:train", reason_seg.write, "reason_seg/ReasonSeg", 2, {"long": 1, "short": 1}),
    Case("refcoco:val", refcoco.write, REFER, 1, {}),
    Case("refcoco:testA", refcoco.write, REFER, 1, {}),
    Case("refcoco:test", refcoco.write, REFER, 2, {}),
    Case("refcoco:train", refcoco.write, REFER, 6, {}),
    Case("refcoco+:testB", refcoco.write, REFER, 1, {}),
    Case("refcocog:val", refcoco.write, REFER, 1, {}),
    Case("refcocog:test", refcoco.write, REFER, 1, {}),
    Case("refclef:testB", refcoco.write, REFER, 1, {}),
    Case("grefcoco:val", grefcoco.write, REFER, 2, {"absent": 1}),
    Case("grefcoco:testA", grefcoco.write, REFER, 1, {}),
    Case("grefcoco:testB", grefcoco.write, REFER, 1, {"absent": 1}),
    Case("ref-zom:test", ref_zom.write, REFER, 2, {"one": 1, "zero": 1}),
    Case("ref-zom:train", ref_zom.write, REFER, 3, {"many": 1, "one": 1, "zero": 1}),
    Case("d3:full", d3.write, "d3", 5, {"presence": 3, "absence": 2, "absent": 1}),
    Case("d3:pres", d3.write, "d3", 3, {"presence": 3, "absent": 1}),
    Case("d3:abs", d3.write, "d3", 2, {"absence": 2}),
    Case("d3:inter/full", d3.write, "d3", 9, {"presence": 6, "absence": 3, "absent": 4}),
    Case("grd", d3.write, "d3", 3, {"presence": 3, "absent": 1}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_asked(case: Case, tmp_path: Path):
    folder = tmp_path / "released" / case.place
    folder.mkdir(parents=True)
    case.write(folder)
    (benchmark,) = open_benchmark(case.name, folder, LISA)
    assert (benchmark.name, benchmark.task) == (case.name, "masks")
    keys = [picture.key for picture in benchmark.pictures]
    questions = [question for picture in benchmark.pictures for question in picture.questions]
    assert len(questions) == case.asked
    assert Counter(subset for one in questions for subset in one.subsets) == case.subsets
    assert {one.group for one in questions} == {case.name}
    assert len({one.key for one in questions}) == case.asked
    assert all(one.said and one.said.lower() in one.text.lower() for one in questions)
    # The same from LISA's folder of all data sets, wherever that lies.
    moved = (tmp_path / "released").rename(tmp_path / "dataset")
    (again,) = open_benchmark(case.name, moved, LISA)
    assert [p.key for p in again.pictures] == keys
    assert [q for p in again.pictures for q in p.questions] == questions


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LISA's folder with all data sets in it."""
    folder = tmp_path_factory.mktemp("dataset")
    dataset_folder.write(folder)
    return folder


@pytest.mark.parametrize("name", dataset_folder.MASKS)
def test_right_answers_score_1(name: str, dataset: Path):
    (benchmark,) = open_benchmark(name, dataset, LISA)
    results = right_answers(benchmark.pictures)
    assert results
    assert score(result.counts for result in results).giou == 1
    silent = silence(benchmark.pictures)
    empty = [result for result in results if not result.pointed]
    assert sum(result.counts.iou for result in silent) == len(empty)
    for picture in benchmark.pictures:
        assert picture.file is not None
        assert picture.file.is_file()
        for question in picture.questions:
            assert picture.truth_of(question).size == picture.open().size[::-1]


@pytest.mark.parametrize("name", dataset_folder.OTHERS)
def test_benchmarks_without_masks_open_from_the_same_folder(name: str, dataset: Path):
    (benchmark,) = open_benchmark(name, dataset, LISA)
    assert len(benchmark.pictures) > 1
    assert len({picture.key for picture in benchmark.pictures}) == len(benchmark.pictures)
    with pytest.raises(ConfigError, match=f"{name} is answered by .*--benchmark {name}"):
        benchmark.require_masks()


def test_the_folder_has_every_family(dataset: Path):
    opened = {name.partition(":")[0] for name in (*dataset_folder.MASKS, *dataset_folder.OTHERS)}
    assert opened == {name for name, family in FAMILIES.items() if family.layout}


def test_only_the_first_text_of_reason_seg_is_asked(tmp_path: Path):
    reason_seg.write(tmp_path)
    (benchmark,) = open_benchmark("reasonseg:train", tmp_path, LISA)
    texts = [question.text for picture in benchmark.pictures for question in picture.questions]
    assert texts == [
        "What would I put on in the rain? Please output segmentation mask.",
        "What is the café’s “chairs” in this image? Please output segmentation mask.",
    ]
    coat, _ = benchmark.pictures
    planted = reason_seg.PLANTED["train/coat_hook"].labels
    truth = coat.truth_of(coat.questions[0])
    assert np.array_equal(truth.mask, planted == reason_seg.TARGET)
    assert np.array_equal(truth.ignore, planted == reason_seg.IGNORED)


def test_reason_seg_is_asked_as_it_is_written(tmp_path: Path):
    """As in LISA's validation, which puts only the referring sets into lower case."""
    reason_seg.write(tmp_path)
    path = tmp_path / "test" / "nothing.json"
    annotation = {"text": ["the Eiffel Tower"], "is_sentence": False, "shapes": []}
    path.write_text(json.dumps(annotation))
    (benchmark,) = open_benchmark("reasonseg:test", tmp_path, LISA)
    (question,) = benchmark.pictures[0].questions
    assert question.text.startswith("What is the Eiffel Tower in this image?")


def test_a_picture_of_reason_seg_without_target_counts(tmp_path: Path):
    reason_seg.write(tmp_path)
    (benchmark,) = open_benchmark("reasonseg:test", tmp_path, LISA)
    (result,) = silence(benchmark.pictures)
    assert result.counts.iou == 1


def test_the_copies_of_reason_seg(tmp_path: Path):
    folder = tmp_path / "ReasonSeg_val"
    folder.mkdir()
    reason_seg_parquet.write(folder)
    for data in (folder, tmp_path):
        (benchmark,) = open_benchmark("reasonseg:val", data, LISA)
        assert len(benchmark.pictures) == len(reason_seg.PLANTED)
        assert "without ignored pixels" in benchmark.source
    results = right_answers(benchmark.pictures)
    assert score(result.counts for result in results).giou == 1
    with pytest.raises(DataError, match="reasonseg:test: there is no val and no test"):
        open_benchmark("reasonseg:test", folder, LISA)


def test_words_that_occur_twice_are_asked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As the field counts: each is right for its own region alone."""
    first = (0, 581857, 1719310, "train", ("lady",))
    second = (1, 581857, 1719311, "train", ("lady",))
    monkeypatch.setitem(refcoco.ROWS, "refcoco", ("unc", (first, second)))
    refcoco.write(tmp_path)
    (benchmark,) = open_benchmark("refcoco:train", tmp_path, LISA)
    (picture,) = benchmark.pictures
    one, other = picture.questions
    assert one.text == other.text
    assert np.array_equal(picture.truth_of(one).mask, refcoco.WOMEN.mask(1719310))
    assert np.array_equal(picture.truth_of(other).mask, refcoco.WOMEN.mask(1719311))


def test_several_things_are_several_regions(tmp_path: Path):
    grefcoco.write(tmp_path)
    (benchmark,) = open_benchmark("grefcoco:val", tmp_path, LISA)
    (dogs,) = benchmark.pictures
    meant, absent = dogs.questions
    assert [int(region.sum()) for region in dogs.truth_of(meant).regions] == [
        int(grefcoco.DOGS.mask(thing).sum()) for thing in (3007, 3008)
    ]
    assert dogs.truth_of(absent).regions == ()


def test_every_picture_of_a_group_is_asked_its_sentences(tmp_path: Path):
    d3.write(tmp_path)
    (benchmark,) = open_benchmark("d3:full", tmp_path, LISA)
    cohorts = Counter(q.cohort for picture in benchmark.pictures for q in picture.questions)
    assert cohorts == {"1/1": 2, "1/2": 2, "2/3": 1}
    for index, picture in enumerate(benchmark.pictures):
        for question in picture.questions:
            sentence = int(question.cohort.split("/")[1])
            assert question.said == d3.SENTENCES[sentence][0]
            planted = d3.planted(index, sentence)
            assert np.array_equal(picture.truth_of(question).mask, planted)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_nano(group: str):
    (benchmark,) = open_benchmark(f"nano:{group}", None, WORDINGS["nano"])
    questions = [question for picture in benchmark.pictures for question in picture.questions]
    assert questions
    assert {question.group for question in questions} == {group}
    assert len(benchmark.baselines["largest object"](benchmark.pictures[:2])) == sum(
        len(picture.questions) for picture in benchmark.pictures[:2]
    )


def test_all_of_nano_is_asked_at_once():
    (benchmark,) = open_benchmark("nano", None, WORDINGS["nano"])
    assert benchmark.name == "nano:all"
    groups = {question.group for picture in benchmark.pictures for question in picture.questions}
    assert groups == set(GROUPS)
    few = benchmark.pictures[:3]
    assert score(result.counts for result in right_answers(few)).giou == 1
    with pytest.raises(ConfigError, match="nano:all lies in the repository and takes no --data"):
        open_benchmark("nano:all", Path("."), WORDINGS["nano"])


def test_data_of_one_s_own(tmp_path: Path):
    own_jsonl.write(tmp_path)
    validation, train = open_benchmark(str(tmp_path), None, LISA)
    assert (validation.name, train.name) == ("validation", "train")
    assert score(result.counts for result in right_answers(train.pictures)).giou == 1
    (chosen,) = open_benchmark(f"{tmp_path}:train", None, LISA)
    assert chosen.name == "train"
    assert [p.key for p in chosen.pictures] == [p.key for p in train.pictures]
    with pytest.raises(ConfigError, match="has no 'trian': perhaps 'train' is meant"):
        open_benchmark(f"{tmp_path}:trian", None, LISA)
    with pytest.raises(ConfigError, match="says where its data lie: leave --data out"):
        open_benchmark(str(tmp_path), tmp_path, LISA)
    with pytest.raises(ConfigError, match="there is no '.*nothing.jsonl'"):
        open_benchmark(str(tmp_path / "nothing.jsonl"), None, LISA)


def test_a_star_opens_what_is_usually_reported(tmp_path: Path):
    refcoco.write(tmp_path)
    for name in ("refcoco:*", "refcoco"):
        opened = open_benchmark(name, tmp_path, LISA)
        assert [one.name for one in opened] == ["refcoco:val", "refcoco:testA", "refcoco:testB"]


def test_slices_stay_lazy_and_name_their_places(tmp_path: Path):
    refcoco.write(tmp_path)
    (benchmark,) = open_benchmark("refcoco:train", tmp_path, LISA)
    pictures = benchmark.pictures
    every_other = pictures[1::2]
    assert [one.key for one in every_other] == [one.key for one in list(pictures)[1::2]]
    assert pictures[-1].key == list(pictures)[-1].key
    assert every_other.place(0) == pictures.place(1)
    with pytest.raises(IndexError):
        pictures[len(pictures)]


def test_opening_reads_no_picture(tmp_path: Path):
    refcoco.write(tmp_path)
    for path in tmp_path.rglob("*.jpg"):
        path.write_bytes(b"damaged")
    (benchmark,) = open_benchmark("refcoco:val", tmp_path, LISA)
    assert len(benchmark.pictures) == 1
    with pytest.raises(LisaError):
        right_answers(benchmark.pictures)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("reasonsag:val", "There is no benchmark and no data set 'reasonsag:val': perhaps 'reaso"),
        ("reasonseg:vall", "reasonseg has no part 'vall': perhaps 'val' is meant"),
        ("grd:val", "grd has no part 'val': leave it out"),
        ("reasonseg:val", "reasonseg:val needs its data: give --data DIR, the folder with"),
    ],
)
def test_unknown_names(name: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        open_benchmark(name, None, LISA)


NEED_DATA = [name for name in known_benchmarks() if takes_data(name)]


@pytest.mark.parametrize("name", NEED_DATA)
def test_a_wrong_folder_is_told_in_one_sentence(name: str, tmp_path: Path):
    with pytest.raises(DataError, match=r"there is no .*: point --data at the folder that") as told:
        open_benchmark(name, tmp_path, LISA)
    assert name in str(told.value)
    with pytest.raises(DataError, match=r"there is no folder '.*nowhere': check --data"):
        open_benchmark(name, tmp_path / "nowhere", LISA)
    with pytest.raises(ConfigError, match="needs its data: give --data DIR, the folder with"):
        open_benchmark(name, None, LISA)


def test_a_missing_split_is_told(tmp_path: Path):
    reason_seg.write(tmp_path)
    for path in (tmp_path / "val").iterdir():
        path.unlink()
    (tmp_path / "val").rmdir()
    with pytest.raises(DataError, match="ReasonSeg is not complete: there is no .*val"):
        open_benchmark("reasonseg:val", tmp_path, LISA)


def test_only_what_lies_elsewhere_takes_data():
    rest = [name for name in known_benchmarks() if not takes_data(name)]
    assert rest == [f"nano:{part}" for part in ("all", *GROUPS)]
    assert not takes_data("my/cups.jsonl")


def test_every_family_says_what_it_is():
    for family in FAMILIES.values():
        assert family.about
        assert set(family.usual) <= set(family.parts)
        assert family.names == tuple(name for name in known_benchmarks() if name in family.names)
