from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import yaml

from lisa.errors import ConfigError
from lisa.settings import build_settings, override, plain, read_yaml


@dataclass(frozen=True)
class Inner:
    rank: int = 8
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise ConfigError("rank must not be negative.")


@dataclass(frozen=True)
class Outer:
    name: str
    seed: int = 0
    on: bool = True
    kind: Literal["a", "b"] = "a"
    file: Path | None = None
    pair: tuple[float, float] = (0.9, 0.95)
    names: tuple[str, ...] = ()
    inner: Inner = field(default_factory=Inner)
    optional: Inner | None = None
    many: tuple[Inner, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)


FULL = {
    "name": "x",
    "seed": 7,
    "on": False,
    "kind": "b",
    "file": "a/b.yaml",
    "pair": [1, 2],
    "names": ["p", "q"],
    "inner": {"rank": 2, "share": 1},
    "optional": {"rank": 3},
    "many": [{"rank": 1}, {}],
    "weights": {"one": 1, "two": 2.5},
}


def test_there_and_back() -> None:
    built = build_settings(Outer, FULL, "here")
    assert built.inner == Inner(2, 1.0)
    assert built.many == (Inner(1), Inner())
    assert built.pair == (1.0, 2.0)
    assert built.file == Path("a/b.yaml")
    assert build_settings(Outer, yaml.safe_load(yaml.safe_dump(plain(built))), "there") == built


def test_defaults_are_kept() -> None:
    assert build_settings(Outer, {"name": "x"}, "here") == Outer("x")
    assert build_settings(Outer, {"name": "x", "optional": None}, "here") == Outer("x")


@pytest.mark.parametrize("text", ["1e-3", "0.001", "1.0e-3"])
def test_numbers_as_people_write_them(text: str) -> None:
    """PyYAML reads 1e-3 as text; nobody who writes it means one."""
    data = override({"name": "x"}, [f"inner.share={text}", "inner.rank=1e2"])
    built = build_settings(Outer, data, "here")
    assert built.inner == Inner(100, 0.001)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sede": 1}, r"sede is unknown \(did you mean seed\?\)"),
        ({"zzz": 1}, r"zzz is unknown \(known are name, seed, on"),
        ({"inner": {"rnak": 1}}, r"inner.rnak is unknown \(did you mean inner.rank\?\)"),
        ({"seed": 1.5}, "seed must be a whole number, not 1.5"),
        ({"seed": True}, "seed must be a whole number, not True"),
        ({"seed": None}, "seed must be a whole number, not None"),
        ({"on": "yes"}, "on must be true or false, not 'yes'"),
        ({"on": 1}, "on must be true or false, not 1"),
        ({"kind": "c"}, "kind must be one of a, b, not 'c'"),
        ({"pair": [1]}, "pair must be 2 values, not 1"),
        ({"pair": 1}, "pair must be a list, not 1"),
        ({"names": "p"}, "names must be a list, not 'p'"),
        ({"names": [1]}, r"names\[0\] must be text, not 1"),
        ({"inner": 3}, "inner must hold names and values, not 3"),
        ({"inner": {"share": "nan"}}, "inner.share must be a number, not 'nan'"),
        ({"inner": {"rank": -1}}, "inner: rank must not be negative"),
        ({"many": [{"rank": "x"}]}, r"many\[0\].rank must be a whole number, not 'x'"),
        ({"weights": {"one": "x"}}, "weights.one must be a number, not 'x'"),
        ({"file": 3}, "file must be a path, not 3"),
        ({"name": None}, "name must be text, not None"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^here: .*{message}"):
        build_settings(Outer, {**FULL, **change}, "here")


def test_all_faults_at_once() -> None:
    data = {"seed": "x", "inner": {"rnak": 1, "share": []}}
    with pytest.raises(ConfigError) as caught:
        build_settings(Outer, data, "here")
    assert str(caught.value) == (
        "here: name is missing; seed must be a whole number, not 'x'; inner.rnak is unknown (did "
        "you mean inner.rank?); inner.share must be a number, not []."
    )


def test_overriding_changes_nothing_else() -> None:
    data = {"a": {"b": 1, "c": 2}, "d": 3}
    assert override(data, ["a.b=5", "e.f=[1, x]"]) == {
        "a": {"b": 5, "c": 2},
        "d": 3,
        "e": {"f": [1, "x"]},
    }
    assert data == {"a": {"b": 1, "c": 2}, "d": 3}


@pytest.mark.parametrize("word", ["seed", "=1", "a..b=1", "a={"])
def test_words_that_are_no_assignment(word: str) -> None:
    with pytest.raises(ConfigError, match="name=value|cannot be read"):
        override({}, [word])


@pytest.mark.parametrize("content", [b"- 1", b"a: [", b"\xff\xfe", b"", b"1: 2"])
def test_files_that_are_no_settings(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"x.yaml"):
        read_yaml(path)
    with pytest.raises(ConfigError, match=r"none.yaml"):
        read_yaml(tmp_path / "none.yaml")
