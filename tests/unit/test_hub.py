from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lisa.errors import CheckpointError
from lisa.hub import NANO, resolve


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert resolve(tmp_path) == tmp_path
    assert resolve(str(tmp_path), offline=True) == tmp_path


def test_the_model_that_comes_with_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A folder of the same name in the working folder does not take its place.
    (tmp_path / NANO).mkdir()
    monkeypatch.chdir(tmp_path)
    assert (resolve(NANO, offline=True) / "config.json").is_file()


def test_what_is_neither_folder_nor_hub_id(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"")
    with pytest.raises(CheckpointError, match="is a file; give the folder"):
        resolve(file)
    for name in ("./missing", str(tmp_path / "missing"), "missing", "a/b/c", "https://x.org/a"):
        with pytest.raises(CheckpointError, match="no hub id of the form owner/name"):
            resolve(name)


def test_offline_and_never_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="run once without --offline"):
        resolve("nobody/nothing-of-this-name", offline=True)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RepositoryNotFoundError, "no hub repository a/b"),
        (RevisionNotFoundError, "no revision v9"),
        (GatedRepoError, "accept it on its hub page"),
        (HfHubHTTPError, "could not be fetched"),
        (LocalEntryNotFoundError, "check the network"),
        (OSError, "could not be fetched"),
    ],
)
def test_what_the_hub_refuses(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception], sentence: str
) -> None:
    # The hub's errors want a response of the HTTP library of the day; a bare instance will do.
    refusal = error.__new__(error)

    def refuse(repository: str, **options: object) -> str:
        raise refusal

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(CheckpointError, match=sentence):
        resolve("a/b", revision="v9")


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_pickles_are_fetched_only_where_there_is_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: str
) -> None:
    asked: list[dict[str, Any]] = []

    def download(repository: str, **options: Any) -> str:
        asked.append(options)
        patterns = options["allow_patterns"]
        if any(fnmatch.fnmatch(weights, pattern) for pattern in patterns):
            (tmp_path / weights).touch()
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert resolve("a/b", revision="v1") == tmp_path
    assert (tmp_path / weights).exists()
    assert len(asked) == (1 if weights.endswith(".safetensors") else 2)
    assert all(options["revision"] == "v1" for options in asked)
    assert "*.bin" not in asked[0]["allow_patterns"]


def test_only_what_is_wanted_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def download(repository: str, **options: Any) -> str:
        asked.append(options["allow_patterns"])
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    resolve("a/b", wanted=("vocab.txt",), pickled=None)
    assert asked == [["vocab.txt"]]
    resolve("a/b", pickled="one.pth")
    assert asked[-1] == [*asked[1], "one.pth"]
