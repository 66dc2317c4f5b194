"""The prediction file: whatever order it was written in, it ends the same; damage is told."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import PixelCounts
from eval.prediction_log import PredictionLog, read_predictions
from eval.results import KeptMasks, KeptSegment, Result
from lisa.data.faults import Fault
from lisa.errors import DataError
from lisa.masks import encode_rle
from lisa.types import ImageSize

HEADER = {"model": "a", "protocol": "generate", "families": ("gres",)}
SIZE = ImageSize(4, 5)
MASK = encode_rle(np.eye(4, 5, dtype=bool))


def result(number: int) -> Result:
    masks = KeptMasks(SIZE, (MASK,), None, (KeptSegment(MASK, 0.5),))
    counts = PixelCounts(number, 9, 9)
    return Result(f"q{number}", "own", ("name",), "p", counts, number, masks=masks)


def write(path: Path, numbers: list[int]) -> None:
    with PredictionLog(path, HEADER) as log:
        log.append(((number // 3, number % 3), result(number)) for number in numbers)
        log.finish()


@settings(max_examples=40, deadline=None)
@given(
    order=st.permutations(range(12)), owners=st.lists(st.integers(0, 3), min_size=12, max_size=12)
)
def test_any_interleaving_of_any_parts_merges_to_the_same(
    order: list[int], owners: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        path, whole = Path(name) / "p.jsonl", Path(name) / "whole.jsonl"
        write(whole, list(range(12)))
        header, *lines = whole.read_bytes().splitlines(keepends=True)
        for owner in range(4):
            own = [lines[number] for number in order if owners[number] == owner]
            part = path if owner == 0 else path.with_name(f"p.rank-{owner}.jsonl")
            part.write_bytes(header + b"".join(own) + b'{"at"')
        assert read_predictions(path) == read_predictions(whole)
        with PredictionLog(path, HEADER, resume=True) as log:
            assert all(log.holds(f"q{number}") for number in range(12))
            assert not log.holds("q12")
            assert log.finish() == read_predictions(whole)
        assert path.read_bytes() == whole.read_bytes()
        assert sorted(one.name for one in path.parent.iterdir()) == ["p.jsonl", "whole.jsonl"]


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    fault = Fault("cups.jsonl:3", "no picture.")
    with PredictionLog(path, HEADER) as log:
        log.leave_out(1, fault)
        log.append([((2, 0), result(6)), ((0, 1), result(1))])
        log.append([((0, 1), result(1))])
        assert log.finish().damaged == (fault,)
    found = read_predictions(path)
    assert found.results == (result(1), result(6))
    assert found.damaged == (fault,)
    assert found.header == json.loads(json.dumps(HEADER))
    assert [json.loads(line)["at"] for line in path.read_text().splitlines()[1:]] == [
        [0, 1],
        [1, -1],
        [2, 0],
    ]
    # The picture may have been mended: it is asked about again.
    with PredictionLog(path, HEADER, resume=True) as log:
        assert log.finish().damaged == ()


def test_a_new_run_leaves_nothing_of_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    write(path, [1])
    path.with_name("p.rank-7.jsonl").write_bytes(path.read_bytes())
    write(path, [2])
    assert [one.key for one in read_predictions(path).results] == ["q2"]
    assert [one.name for one in tmp_path.iterdir()] == ["p.jsonl"]


def test_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    write(path, [1])
    before = path.read_bytes()
    other = {**HEADER, "protocol": "teacher_forced", "max_new_tokens": 9}
    message = (
        r'another protocol \("generate", not "teacher_forced"\), max new tokens \(null, not 9\): '
        "leave out --resume"
    )
    with pytest.raises(DataError, match=message):
        PredictionLog(path, other, resume=True)
    assert path.read_bytes() == before
    PredictionLog(path, {**HEADER, "families": ["gres"]}, resume=True).close()
    with pytest.raises(DataError, match="does not exist: leave out --resume"):
        PredictionLog(tmp_path / "none.jsonl", HEADER, resume=True)


def changed(**fields: Any) -> dict[str, Any]:
    return {"at": [0, 0], **result(1).to_record(), **fields}


def masks(**fields: Any) -> dict[str, Any]:
    return changed(masks={**changed()["masks"], **fields})


HUGE = {"size": [100_000, 100_000], "counts": "1"}  # ten gigabytes of pixels
LONG = {"size": list(SIZE), "counts": "oP`o1"}  # runs far beyond the picture


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"p\.jsonl:2 is no JSON "),
        ("[" * 100_000, r"p\.jsonl:2 is no JSON "),
        ("3", r"p\.jsonl:2 is no JSON object"),
        ('{"key": "q"}', r"p\.jsonl:2 has no place"),
        ('{"at": [1, 2]}', r"the answer at \[1, 2\] is damaged"),
        (changed(counts={"wrong": 1}), r"the answer at \[0, 0\] is damaged"),
        (changed(extra=1), r"unexpected keyword argument 'extra'"),
        (masks(size=[100_000, 100_000]), "above the limit"),
        (masks(regions=[HUGE]), "above the limit"),
        (masks(ignore=HUGE), "above the limit"),
        (masks(segments=[{"mask": HUGE, "score": 1.0}]), "above the limit"),
        (masks(regions=[{**MASK, "size": [5, 4]}]), "another size than its picture"),
        (masks(regions=["text"]), "must be a record with 'size'"),
        (masks(size="wide"), "is damaged"),
    ],
)
def test_damage_is_told_before_it_harms(tmp_path: Path, line: object, message: str) -> None:
    path = tmp_path / "p.jsonl"
    text = line if isinstance(line, str) else json.dumps(line)
    path.write_text(json.dumps(HEADER) + "\n" + text + "\n")
    with pytest.raises(DataError, match=message):
        read_predictions(path)


def test_masks_are_decoded_only_when_they_are_needed_and_checked_then(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    line = json.dumps(masks(segments=[{"mask": LONG, "score": 1.0}]))
    path.write_text(json.dumps(HEADER) + "\n" + line + "\n")
    (found,) = read_predictions(path).results
    assert found.masks is not None
    with pytest.raises(DataError, match="leave its size"):
        found.masks.given()


@pytest.mark.parametrize("text", ["", '{"mod', '{"at": [0, 0]}\n'])
def test_a_file_without_a_header(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match="has no header"):
        read_predictions(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist: give the predictions"):
        read_predictions(tmp_path / "p.jsonl")
