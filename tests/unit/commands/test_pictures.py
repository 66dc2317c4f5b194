from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from lisa.commands.pictures import each_picture, find_pictures, output_names
from lisa.errors import DataError, ImageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "inner/c.webp", "a.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (3, 2)).save(path)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_files_folders_and_patterns(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    assert [p.name for p in find_pictures([str(folder)])] == ["a.JPG", "a.png", "b.png"]
    assert find_pictures(["b.png", "b.png"]) == [Path("b.png")]
    assert find_pictures(["*.png"]) == [Path("a.png"), Path("b.png")]
    assert find_pictures(["**/*.webp"]) == [Path("inner", "c.webp")]
    # A file that is named is opened whatever it is called, so that its error can be told.
    assert find_pictures(["missing.png", "notes.txt"]) == [Path("missing.png"), Path("notes.txt")]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path):
    Image.new("RGB", (3, 2)).save(tmp_path / "a[1].png")
    assert find_pictures([str(tmp_path / "a[1].png")]) == [tmp_path / "a[1].png"]


@pytest.mark.parametrize("name", ["empty", "*.jpeg"])
def test_where_no_picture_is(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="holds no picture"):
        find_pictures([os.path.join(tmp_path, name)])


def test_names_of_what_is_written_are_different(folder: Path):
    assert output_names([Path("a.png"), Path("b.png")]) == ["a", "b"]
    names = output_names([Path("x/a.png"), Path("y/A.jpg"), Path("b.png")])
    assert names == ["0000_a", "0001_A", "b"]


def test_a_damaged_picture_does_not_stop_the_others(folder: Path, capsys):
    (folder / "b.png").write_bytes(b"no picture")
    paths = [folder / "a.png", folder / "b.png", folder / "missing.png", folder / "a.JPG"]

    def work(place: int, path: Path, image: Image.Image) -> str:
        return f"{place} {path.name} {image.size}"

    assert each_picture(paths, work) == 2
    printed = capsys.readouterr()
    assert printed.out == "0 a.png (3, 2)\n3 a.JPG (3, 2)\n"
    errors = printed.err.splitlines()
    assert len(errors) == 2
    assert "b.png" in errors[0]
    assert "there is no file" in errors[1]
    assert each_picture(paths[:1], work) == 0


def test_mistakes_of_the_work_are_told_too(folder: Path, capsys):
    def work(place: int, path: Path, image: Image.Image) -> str:
        raise DataError("nothing can be said.")

    assert each_picture([folder / "a.png"], work) == 2
    assert "nothing can be said." in capsys.readouterr().err
