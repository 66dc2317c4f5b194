from __future__ import annotations

import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lisa.data.readers.plain_pickle import read_plain_pickle
from lisa.errors import DataError
from tests.data_sets.python2_pickle import python2_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.frozensets(st.integers())
)
PLAIN = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(st.integers(), max_size=4)
    ),
    max_leaves=12,
)


def needs_no_call(content: Any, protocol: int) -> bool:
    """Old protocols write bytes and sets as calls of functions."""
    names = pickle.dumps(content, protocol)
    return not any(word in names for word in (b"_codecs", b"builtins", b"__builtin__"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "refs(unc).p"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=PLAIN, protocol=st.sampled_from(PROTOCOLS))
def test_plain_content_comes_back(file: Path, content: Any, protocol: int):
    file.write_bytes(pickle.dumps(content, protocol))
    if needs_no_call(content, protocol):
        assert read_plain_pickle(file) == content
    else:
        with pytest.raises(DataError, match="pickle that asks for"):
            read_plain_pickle(file)


def test_pickles_of_python_2(file: Path):
    content = [{"sent": "the lady", "raw": "the l\xe4dy", "ref_id": 3, "ids": [1, 2], "box": None}]
    written = python2_pickle(content)
    assert b"S'the lady'" in written
    file.write_bytes(written)
    assert read_plain_pickle(file) == content


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        (b"plain", "plain"),
        ("naïve".encode(), "naïve"),
        ("naïve".encode("latin-1"), "naïve"),
        (b"caf\xc3\xa9 and caf\xe9", "café and café"),
    ],
)
def test_byte_strings_are_utf_8_or_latin_1(file: Path, stored: bytes, text: str):
    file.write_bytes(b"U" + bytes([len(stored)]) + stored + b".")
    assert read_plain_pickle(file) == text


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("arrays", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("function", [os.system, subprocess.getoutput, eval, Path.touch, np.array])
def test_nothing_is_called(file: Path, tmp_path: Path, function: Any, protocol: int, arrays: bool):
    planted = tmp_path / "planted"
    said = f"__import__('pathlib').Path({str(planted)!r}).touch()"
    argument = {eval: said, Path.touch: planted}.get(function, f"touch {planted}")
    file.write_bytes(pickle.dumps([{"ref_id": 0}, Call(function, argument)], protocol))
    with pytest.raises(DataError) as caught:
        read_plain_pickle(file, arrays=arrays)
    assert str(file) in str(caught.value)
    assert "asks for" in str(caught.value)
    assert not planted.exists()


def test_the_sentence_names_what_was_asked_for(file: Path):
    file.write_bytes(b"cposix\nsystem\n(S'true'\ntR.")
    with pytest.raises(DataError, match=r"refs\(unc\)\.p' is a pickle that asks for posix\.system"):
        read_plain_pickle(file)


class Thing:
    pass


@pytest.mark.parametrize(
    "hostile",
    [
        b"(S'true'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'true'\no.",  # OBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",  # STACK_GLOBAL
        b"Pname\n.",  # a persistent id
        b"\x80\x02U\x04nameQ.",
        pickle.dumps(Thing()),
        pickle.dumps({"size": Thing}),
    ],
)
def test_classes_and_outside_objects_are_refused(file: Path, hostile: bytes):
    file.write_bytes(hostile)
    with pytest.raises(DataError, match="asks for"):
        read_plain_pickle(file, arrays=True)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"PK\x03\x04 no pickle",
        b"<html>",
        pickle.dumps([{"ref_id": 0}])[:-4],
        b"(S'true'\nlR.",  # calls a list
        b"\x82\x01.",  # an extension that nobody has registered
        b"}q\x00}q\x01(U\x01aK\x01ub.",  # sets the state of an object
        b"\x80\x05\x97.",  # bytes that lie elsewhere
        b"\x80\x09].",  # a protocol to come
        b"(lp1\r\n(dp2\r\nS'a'\r\n",  # line ends changed on the way
        b"]\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
    ],
)
def test_damage_is_told_with_the_file(file: Path, damaged: bytes):
    file.write_bytes(damaged)
    with pytest.raises(DataError, match=r"refs\(unc\)\.p' is no plain pickle"):
        read_plain_pickle(file)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_cut_off_anywhere(file: Path, protocol: int):
    whole = pickle.dumps([{"ref_id": 70000, "sent": "the lady", "box": (1.5, None)}], protocol)
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(DataError, match="no plain pickle"):
            read_plain_pickle(file)


def test_missing_file(file: Path):
    with pytest.raises(DataError, match="there is no file"):
        read_plain_pickle(file)


ARRAYS = [
    np.array([[1.5, 2, 3, 4]]),
    np.array([912], dtype=np.uint32),
    np.arange(6, dtype=">i2").reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    np.array([True, False]),
    np.zeros((0, 4), dtype=np.float32),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_come_as_lists_if_asked_for(file: Path, protocol: int):
    content = {"arrays": ARRAYS, "id": np.int64(-3), "score": np.float32(0.5), "on": np.bool_(True)}
    file.write_bytes(pickle.dumps(content, protocol))
    read = read_plain_pickle(file, arrays=True)
    assert [list(array) for array in read.pop("arrays")] == [array.tolist() for array in ARRAYS]
    assert read == {"id": -3, "score": 0.5, "on": True}
    with pytest.raises(DataError, match=r"asks for numpy\."):
        read_plain_pickle(file)


@pytest.mark.parametrize(
    "odd",
    [
        np.array([Thing, None], dtype=object),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]),
        np.array(["text"]),
        np.array([1], dtype="datetime64[s]"),
        np.array([1j]),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_only_arrays_of_numbers_are_read(file: Path, odd: np.ndarray, protocol: int):
    file.write_bytes(pickle.dumps([odd], protocol))
    with pytest.raises(DataError, match=r"refs\(unc\)\.p"):
        read_plain_pickle(file, arrays=True)


@pytest.mark.parametrize(
    "change",
    [
        b"(Nd}U\x08__call__Nstb.",  # NONE, DICT ... BUILD with slots on a stand-in
        b"N}U\x06__call\x4es\x86b.",
        b"}U\x01aNsb.",
    ],
)
def test_a_file_cannot_change_what_reads_arrays(file: Path, change: bytes):
    file.write_bytes(b"\x80\x02cnumpy\ndtype\n" + change)
    with pytest.raises(DataError, match="no plain pickle"):
        read_plain_pickle(file, arrays=True)
    test_arrays_come_as_lists_if_asked_for(file, 4)


def test_bytes_that_do_not_fill_the_shape(file: Path):
    written = pickle.dumps(np.arange(4, dtype=np.uint8), 2)
    assert written.count(b"K\x04\x85") == 1
    file.write_bytes(written.replace(b"K\x04\x85", b"K\x05\x85"))
    with pytest.raises(DataError, match="do not fill its shape"):
        read_plain_pickle(file, arrays=True)
