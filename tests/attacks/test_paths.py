"""Paths that would lead out of the folders that may be read."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from chat.safety.limits import SafetyLimits
from chat.safety.roots import AllowedRoots
from chat.safety.sources import PictureSources
from lisa.errors import ConfigError, ImageError
from tests.unit.odd_files import file_bytes, photo

PNG = file_bytes(photo(), "PNG")
MOST = 1_000_000


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    """A folder `open` that may be read, with a picture, beside one that may not."""
    for name in ("open/inner", "open-too", "secret"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("open/a.png", "open/inner/b.png", "open-too/c.png", "secret/d.png"):
        (tmp_path / name).write_bytes(PNG)
    return tmp_path


def refused(roots: AllowedRoots, name: str) -> str:
    with pytest.raises(ImageError) as raised:
        roots.read(name, MOST)
    return str(raised.value)


def test_what_is_allowed(ground: Path):
    roots = AllowedRoots([ground / "open"])
    (ground / "open/link.png").symlink_to("inner/b.png")
    for name in ("a.png", "inner/b.png", "inner/../a.png", "link.png", str(ground / "open/a.png")):
        assert roots.read(name, MOST) == PNG


OUTSIDE = [
    "../secret/d.png",
    "inner/../../secret/d.png",
    "./.././secret/d.png",
    "..",
    "../open-too/c.png",
    "{ground}/secret/d.png",
    "{ground}/open/../secret/d.png",
    "{ground}/open-too/c.png",
    "//{ground}/open/a.png",
    "\\\\server\\share\\a.png",
    "/etc/passwd",
    "/proc/self/environ",
    "/proc/self/cwd/a.png",
    "/dev/zero",
    "/dev/fd/0",
    "~/a.png",
    "file://{ground}/open/a.png",
    "a.png\0.txt",
    "a.png\n",
    "%2e%2e/secret/d.png",
    "..%2fsecret/d.png",
    "..\\secret\\d.png",
    "A.PNG/../../secret/d.png",
    "{GROUND}/OPEN/a.png",
    "x" * 5_000,
    "a/" * 600,
    "",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_paths_out_of_the_folder(name: str, ground: Path):
    roots = AllowedRoots([ground / "open"])
    path = name.replace("{ground}", str(ground)).replace("{GROUND}", str(ground).upper())
    assert "no file below a folder that may be read" in refused(roots, path)


@pytest.mark.parametrize("name", [".", "inner", "{ground}/open"])
def test_folders_are_no_files(name: str, ground: Path):
    path = name.replace("{ground}", str(ground))
    assert "no file below" in refused(AllowedRoots([ground / "open"]), path)


@pytest.mark.parametrize("target", ["{ground}/secret/d.png", "../secret/d.png", "/etc/passwd"])
def test_links_out_of_the_folder(target: str, ground: Path):
    (ground / "open/link.png").symlink_to(target.replace("{ground}", str(ground)))
    assert "no file below" in refused(AllowedRoots([ground / "open"]), "link.png")


def test_a_linked_folder_out_of_the_folder(ground: Path):
    (ground / "open/inside").symlink_to(ground / "secret")
    assert "no file below" in refused(AllowedRoots([ground / "open"]), "inside/d.png")


def test_links_in_a_ring(ground: Path):
    (ground / "open/one").symlink_to("two")
    (ground / "open/two").symlink_to("one")
    assert "no file below" in refused(AllowedRoots([ground / "open"]), "one")


def test_whether_something_exists_elsewhere_is_not_told(ground: Path):
    roots = AllowedRoots([ground / "open"])
    there = refused(roots, "../secret/d.png").replace("d.png", "?")
    missing = refused(roots, "../secret/e.png").replace("e.png", "?")
    assert there == missing


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_would_be_waited_for(kind: str, ground: Path):
    """Nobody ever writes into it, so reading it would take for ever."""
    place = ground / "open/wait.png"
    if kind == "pipe":
        os.mkfifo(place)
    else:
        listener = socket.socket(socket.AF_UNIX)
        folder = Path.cwd()
        os.chdir(place.parent)  # names of sockets are short
        listener.bind(place.name)
        os.chdir(folder)
        listener.close()
    found: list[str] = []
    roots = AllowedRoots([ground / "open"])
    thread = threading.Thread(target=lambda: found.append(refused(roots, "wait.png")), daemon=True)
    thread.start()
    thread.join(5)
    assert found and "no file below" in found[0]


def test_a_file_that_is_swapped_for_a_link_while_it_is_opened(ground: Path, monkeypatch):
    """Who may write in the folder exchanges the file between the look and the opening."""
    really_open = os.open

    def swap_and_open(path, flags, *args):
        os.unlink(path)
        os.symlink(ground / "secret/d.png", path)
        return really_open(path, flags, *args)

    roots = AllowedRoots([ground / "open"])
    monkeypatch.setattr(os, "open", swap_and_open)
    assert "not a regular file" in refused(roots, "a.png")


def test_a_folder_that_is_swapped_for_a_link_while_its_file_is_opened(ground: Path, monkeypatch):
    really_open = os.open
    (ground / "secret/b.png").write_bytes(PNG)

    def swap_and_open(path, flags, *args):
        os.rename(ground / "open/inner", ground / "open/old")
        os.symlink(ground / "secret", ground / "open/inner")
        return really_open(path, flags, *args)

    roots = AllowedRoots([ground / "open"])
    monkeypatch.setattr(os, "open", swap_and_open)
    assert "not a regular file" in refused(roots, "inner/b.png")


def test_a_file_that_is_too_long(ground: Path):
    sparse = ground / "open/sparse.png"
    with sparse.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(ImageError, match=r"has more than 1,000,000 bytes"):
        AllowedRoots([ground / "open"]).read("sparse.png", MOST)


def test_a_text_below_the_folder_is_not_shown(ground: Path):
    """Files that are no pictures stay what they are: their contents are in no message."""
    (ground / "open/notes.txt").write_text("the password is hunter2")
    sources = PictureSources(SafetyLimits(), roots=AllowedRoots([ground / "open"]))
    with pytest.raises(ImageError, match="not a picture") as raised:
        sources.open("notes.txt")
    assert "hunter2" not in str(raised.value)


def test_no_file_at_all_without_a_folder():
    with pytest.raises(ImageError, match="not a picture that this server opens"):
        PictureSources(SafetyLimits()).open("/etc/passwd")


def test_folders_that_are_none(ground: Path):
    with pytest.raises(ConfigError, match="is not a folder"):
        AllowedRoots([ground / "open", ground / "open/a.png"])
