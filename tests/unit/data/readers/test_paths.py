from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lisa.data.readers.paths import read_json, require_pictures, safe_join
from lisa.errors import DataError

PARTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\0:", exclude_categories=["Cs"]), min_size=1
).filter(lambda part: part not in (".", "..") and part.strip())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(PARTS, min_size=1, max_size=4), st.sampled_from("/\\"))
def test_relative_names_are_joined(parts: list[str], separator: str):
    assert safe_join(Path("/data"), separator.join(parts)) == Path("/data").joinpath(*parts)


@given(st.lists(PARTS | st.just(".."), max_size=4), st.data())
def test_what_is_joined_stays_inside(parts: list[str], data: st.DataObject):
    name = data.draw(st.sampled_from(["", "/", "\\", "C:", "C:\\", "//host/share/"]))
    name += "/".join(parts)
    try:
        joined = safe_join(Path("/data/set"), name)
    except DataError:
        return
    assert joined.is_relative_to("/data/set")
    assert ".." not in joined.parts


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../key",
        "a/../../key",
        "a\\..\\..\\key",
        "C:\\key",
        "C:key",
        "\\\\host\\key",
        ".",
    ],
)
def test_names_that_leave_the_folder(name: str):
    with pytest.raises(DataError, match="leaves the folder of its data set, '/data'"):
        safe_join(Path("/data"), name)


@pytest.mark.parametrize("name", ["", "  ", "a\0b", None, 7])
def test_names_that_are_none(name: object):
    with pytest.raises(DataError, match="a file name must be a text"):
        safe_join(Path("/data"), name)  # type: ignore[arg-type]


@given(content=JSON)
def test_json_as_written(tmp_path_factory: pytest.TempPathFactory, content: object):
    path = tmp_path_factory.getbasetemp() / "written.json"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text(json.dumps(content, ensure_ascii=False), encoding=encoding)
        assert read_json(path) == content


def test_cp1252_where_it_is_no_utf8(tmp_path: Path):
    path = tmp_path / "old.json"
    path.write_bytes('{"text": "the café’s door"}'.encode("cp1252"))
    assert read_json(path) == {"text": "the café’s door"}


def test_damaged_json_is_named_with_its_place(tmp_path: Path):
    path = tmp_path / "cut.json"
    path.write_text('{"images": [],\n "annotations": [{"id": 1,')
    with pytest.raises(DataError, match=r"cut.json' is no JSON at line 2, column 2\d"):
        read_json(path)
    path.write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"cut.json' is JSON that cannot be read"):
        read_json(path)
    path.write_bytes(b'{"a":\n "\x81\xff"}')
    with pytest.raises(DataError, match=r"cut.json' is no text at line 2"):
        read_json(path)


def test_files_that_are_not_there(tmp_path: Path):
    with pytest.raises(DataError, match=r"there is no file .*none.json"):
        read_json(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_json(tmp_path)


def test_pictures_are_looked_for(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").touch()
    require_pictures("A set", [tmp_path / "a" / "1.jpg"])
    wanted = [tmp_path / "a" / "1.jpg", tmp_path / "a" / "2.jpg", tmp_path / "b" / "3.jpg"]
    with pytest.raises(DataError, match=r"A set .* no '.*2.jpg', and 2 of 3 pictures are missing"):
        require_pictures("A set", wanted)
