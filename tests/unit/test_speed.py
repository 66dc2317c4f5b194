from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from eval import speed


@pytest.fixture(autouse=True)
def two_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        SimpleNamespace(name=name, load=lambda value=value: lambda: {"seconds": value})
        for name, value in (("quick", 0.5), ("slow", 2.0))
    ]
    monkeypatch.setattr(speed, "entry_points", lambda group: entries)


def test_list(capsys):
    assert speed.main(["list"]) == 0
    assert capsys.readouterr().out.split() == ["quick", "slow"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["all"], ["quick", "slow"]), (["slow"], ["slow"]), (["slow", "slow"], ["slow"])],
)
def test_json(names: list[str], expected: list[str], capsys):
    assert speed.main([*names, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == expected


def test_table(capsys):
    speed.main(["quick"])
    assert capsys.readouterr().out.split() == ["quick", "seconds", "0.500"]


def test_unknown_name(capsys):
    assert speed.main(["nonsense"]) == 2
    assert "use all, or some of quick, slow" in capsys.readouterr().err
