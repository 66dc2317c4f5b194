from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lisa.data.check import problems_of
from lisa.data.faults import DamagedRecord
from lisa.data.readers.own_record import build_record, wording_of
from lisa.data.readers.own_segments import SEGMENT_KINDS
from lisa.errors import DataError
from tests.unit.odd_files import file_bytes, photo

PICTURE = file_bytes(photo(60, 40), "PNG")


def find_file(name: Any) -> Path | bytes:
    if name == "picture":
        return PICTURE
    raise DataError(f"there is no file {name!r:.40}.")


def one_of_or(keys: tuple[str, ...], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(keys), values, max_size=3)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
NUMBERS = st.lists(st.integers(-9, 70) | st.floats(-9, 70), max_size=9)
RUNS = one_of_or(("size", "counts"), ANYTHING | NUMBERS | st.just([40, 60]) | st.just([2400]))
SEGMENT = ANYTHING | one_of_or(
    SEGMENT_KINDS, ANYTHING | NUMBERS | st.lists(NUMBERS, max_size=3) | RUNS
)
WORDS = st.sampled_from(["[SEG]", "a [SEG] [SEG].", "where?", "", "<image>"]) | ANYTHING
MESSAGE = ANYTHING | st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "x"]), "content": WORDS}
)
TARGET = ANYTHING | one_of_or(("text", "segment", "sentence", "explanation"), WORDS | SEGMENT)
RECORD = st.fixed_dictionaries(
    {"image": st.just("picture") | ANYTHING},
    optional={
        "messages": st.lists(MESSAGE, max_size=4) | ANYTHING,
        "segments": st.lists(SEGMENT, max_size=3) | ANYTHING,
        "targets": st.lists(TARGET, max_size=3) | ANYTHING,
        "id": ANYTHING,
    },
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING | RECORD)
def test_whatever_is_written_becomes_a_record_or_sentences(raw: Any):
    try:
        record = build_record(raw, "line-1", "a.jsonl:1", find_file)
    except DamagedRecord as error:
        record = error.partial
    if record is not None:
        problems_of(record)  # reads every mask


def test_a_sound_record_is_what_it_says():
    raw = {
        "id": 5,
        "image": "picture",
        "targets": [{"text": " a cup ", "segment": {"box": [0, 0, 60, 40]}}],
    }
    record = build_record(json.loads(json.dumps(raw)), "line-1", "a.jsonl:1", find_file)
    assert record.key == "5"
    assert record.targets[0].expressions[0].text == "a cup"
    assert record.targets[0].mask.read().all()
    assert problems_of(record) == []


@pytest.mark.parametrize(
    ("text", "wording"),
    [
        ("the cup", "name"),
        ("Where is it?", "sentence"),
        ("Show it. ", "sentence"),
        ("no. 5", "name"),
    ],
)
def test_wording(text: str, wording: str):
    assert wording_of(text) == wording
