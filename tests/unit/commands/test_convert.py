"""`lisa convert` on the command line; what it writes is tested in tests/unit/released."""

from __future__ import annotations

from pathlib import Path

from lisa import cli


def test_every_option_reaches_the_conversion(monkeypatch, tmp_path, capsys):
    seen = {}

    def fake(source, target, **options) -> Path:
        seen.update(source=source, target=target, **options)
        return Path(target)

    monkeypatch.setattr("lisa.released.convert", fake)
    target = str(tmp_path / "out")
    given = ["convert", "some/model", target, "--vision-tower", "clip", "--dtype", "bfloat16"]
    given += ["--segmenter-dtype", "float32", "--template", "vicuna_v1", "--revision", "r1"]
    assert cli.main([*given, "--offline"]) == 0
    assert seen == {
        "source": "some/model",
        "target": target,
        "vision_tower": "clip",
        "dtype": "bfloat16",
        "segmenter_dtype": "float32",
        "template": "vicuna_v1",
        "revision": "r1",
        "offline": True,
    }
    assert f"Wrote {target}" in capsys.readouterr().out


def test_a_folder_that_is_no_checkpoint_gets_a_sentence(tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    assert cli.main(["convert", str(tmp_path), str(tmp_path / "out"), "--offline"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("lisa") and "Traceback" not in error


def test_an_unknown_number_type_is_refused(tmp_path, capsys):
    assert cli.main(["convert", "a/b", str(tmp_path / "out"), "--dtype", "float13"]) == 2
    assert "float13" in capsys.readouterr().err
