from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from eval import speed
from lisa.measurement import Measurement


@pytest.fixture(autouse=True)
def threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def two_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "quick": {"turn": Measurement.of([0.5, 0.4, 0.7], "s", [1.0, 1.2, 0.7])},
        "slow": {"pictures": Measurement.of([7], "pictures/s")},
    }
    entries = [
        SimpleNamespace(name=name, load=lambda one=one: lambda: one) for name, one in found.items()
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


def test_json_says_all_of_a_measurement(capsys):
    speed.main(["quick", "--json"])
    turn = {"median": 0.5, "spread": pytest.approx(0.15), "unit": "s", "ratio": 2.0}
    found = json.loads(capsys.readouterr().out)["quick"]
    assert found["turn"] == turn
    assert found["threads"]["median"] == torch.get_num_threads()


def test_table(capsys):
    speed.main(["all"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "quick" and lines[4] == "slow"
    assert lines[1].split() == ["median", "spread", "unit", "ratio"]
    threads = ["threads", str(torch.get_num_threads()), "0", "threads"]
    assert lines[2].split() == lines[6].split() == threads
    assert lines[3].split() == ["turn", "0.5", "0.15", "s", "2.00", "x"]
    assert lines[7].split() == ["pictures", "7", "0", "pictures/s"]


def test_plot(tmp_path, capsys):
    path = tmp_path / "speed.png"
    assert speed.main(["all", "--plot", str(path)]) == 0
    with Image.open(path) as picture:
        assert picture.width > picture.height > 50
    assert speed.main(["slow", "--plot", str(path)]) == 2
    assert "nothing was compared" in capsys.readouterr().err
    assert speed.main(["quick", "--plot", str(tmp_path / "no" / "x.png")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_unknown_name(capsys):
    assert speed.main(["nonsense"]) == 2
    assert "use all, or some of quick, slow" in capsys.readouterr().err
