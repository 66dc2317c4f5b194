from __future__ import annotations

import argparse
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lisa.cli import main
from lisa.commands.segment import add_model_arguments, model_arguments
from lisa.errors import PromptError
from lisa.masks import decode_rle, mask_to_box
from lisa.pipeline import LisaPipeline
from lisa.types import Conversation, Prediction, Segment
from tests.unit.odd_files import DAMAGED, damaged_cases, exif_rotated, file_bytes, photo

ANSWER = "The cup is [SEG], there is no [SEG]."


class FakePipeline:
    """Answers every question with one half-picture mask and one empty mask.

    It shows that the command hands its options over, and writes whatever a pipeline returns.
    """

    options: dict[str, Any]
    number_of_segments = 2

    @classmethod
    def from_pretrained(cls, name_or_path: str, **options: Any) -> FakePipeline:
        pipeline = cls()
        cls.options = {"name_or_path": name_or_path, **options}
        return pipeline

    def __call__(self, image: Image.Image, question: str, **options: Any) -> Prediction:
        type(self).options |= {"question": question, **options}
        if "too long" in question:
            raise PromptError("the question has 9 tokens, 8 fit: shorten it.")
        mask = np.zeros((image.height, image.width), bool)
        mask[:, : image.width // 2 + 1] = True
        empty = np.zeros_like(mask)
        segments = (
            Segment(mask, mask_to_box(mask), 0.75, "found", "The cup", (11, 16)),
            Segment(empty, None, 0.1, "absent", None, (30, 35)),
        )[: self.number_of_segments]
        conversation = Conversation().ask(question, 0).answer(ANSWER)
        return Prediction(ANSWER, segments, conversation)


@pytest.fixture(autouse=True)
def pipeline(monkeypatch: pytest.MonkeyPatch) -> type[FakePipeline]:
    class Fresh(FakePipeline):
        """One per test, since the options are kept on the class."""

    monkeypatch.setattr("lisa.pipeline.LisaPipeline", Fresh)
    return Fresh


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    photo().save(path)
    return path


def test_writes_the_answer(picture: Path, tmp_path: Path, capsys):
    out = tmp_path / "new" / "folder"
    assert main(["segment", str(picture), "where is the cup?", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == ANSWER
    assert str(out) in printed
    names = {"overlay.png", "mask_0.png", "mask_1.png", "result.json"}
    assert {path.name for path in out.iterdir()} == names
    result = json.loads((out / "result.json").read_text())
    assert result["answer"] == ANSWER
    assert result["image_size"] == [40, 60]
    assert result["model"] == "lisa-nano"
    first, second = result["segments"]
    fields = {"mask", "box", "score", "status", "phrase", "text_span", "image_index"}
    assert set(first) == set(second) == fields
    assert first["box"] == [0, 0, 31, 40]
    assert (first["phrase"], second["phrase"]) == ("The cup", None)
    assert (second["box"], second["status"]) == (None, "absent")
    mask = decode_rle(first["mask"])
    assert mask.shape == (40, 60)
    with Image.open(out / "mask_0.png") as written:
        assert np.array_equal(np.asarray(written.convert("L")) == 255, mask)
    with Image.open(out / "overlay.png") as overlay:
        assert overlay.size == (60, 40)


def test_json_prints_the_result(picture: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert main(["segment", str(picture), "cup?", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((out / "result.json").read_text())


def test_options_reach_the_pipeline(picture: Path, tmp_path: Path, pipeline):
    arguments = (
        "--model some/where --revision v1 --offline --device cpu --dtype bfloat16 "
        "--segmenter-dtype float32 --template vicuna_v1 --vision-tower clip --load-in-8bit "
        "--no-packed-weights "
        "--max-new-tokens 9"
    ).split()
    out = ["--out", str(tmp_path / "out")]
    assert main(["segment", str(picture), "cup?", *out, *arguments]) == 0
    assert pipeline.options == {
        "name_or_path": "some/where",
        "revision": "v1",
        "offline": True,
        "device": "cpu",
        "dtype": "bfloat16",
        "segmenter_dtype": "float32",
        "template": "vicuna_v1",
        "vision_tower": "clip",
        "quantize": "8bit",
        "pack_weights": False,
        "for_one_answer": True,
        "question": "cup?",
        "max_new_tokens": 9,
    }


def test_the_real_pipeline_takes_these_options():
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    accepted = inspect.signature(LisaPipeline.from_pretrained).parameters
    assert {*model_arguments(parser.parse_args([])), "for_one_answer"} <= set(accepted)


def test_an_older_answer_is_replaced(picture: Path, tmp_path: Path, pipeline):
    out = tmp_path / "out"
    main(["segment", str(picture), "cup?", "--out", str(out)])
    pipeline.number_of_segments = 1
    main(["segment", str(picture), "cup?", "--out", str(out)])
    assert not (out / "mask_1.png").exists()
    assert len(json.loads((out / "result.json").read_text())["segments"]) == 1


def test_answer_without_masks(picture: Path, tmp_path: Path, pipeline):
    pipeline.number_of_segments = 0
    out = tmp_path / "out"
    assert main(["segment", str(picture), "cup?", "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"overlay.png", "result.json"}


def test_rotated_photo_has_upright_masks(tmp_path: Path):
    path = tmp_path / "phone.jpg"
    path.write_bytes(exif_rotated(6))
    out = tmp_path / "out"
    assert main(["segment", str(path), "cup?", "--out", str(out)]) == 0
    assert json.loads((out / "result.json").read_text())["image_size"] == [40, 60]


# --- Mistakes -----------------------------------------------------------------------------------


def one_sentence(error: str) -> bool:
    return error.startswith("lisa: error: ") and error.endswith(".\n") and error.count("\n") == 1


@pytest.mark.parametrize(("kind", "name"), damaged_cases())
def test_damaged_picture(kind: str, name: str, tmp_path: Path, capsys):
    path = tmp_path / "picture.jpg"
    path.write_bytes(DAMAGED[kind][name])
    code = main(["segment", str(path), "cup?", "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert "Traceback" not in error
    # Random bytes behind a good beginning can still be a picture of noise.
    assert (code == 2 and one_sentence(error)) or (code == 0 and kind == "flipped")
    assert code == 0 or not (tmp_path / "out").exists()


@pytest.mark.parametrize("question", ["", " ", "\n\t "])
def test_empty_question(question: str, picture: Path, capsys):
    assert main(["segment", str(picture), question]) == 2
    assert "question is empty" in capsys.readouterr().err


def test_prompt_longer_than_the_context(picture: Path, tmp_path: Path, capsys):
    arguments = ["segment", str(picture), "too long", "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert one_sentence(capsys.readouterr().err)


@pytest.mark.parametrize("out", ["/dev/null", "/dev/null/below", "nul\0byte", "x" * 5000])
def test_bad_out(out: str, picture: Path, capsys):
    assert main(["segment", str(picture), "cup?", "--out", out]) == 2
    assert one_sentence(capsys.readouterr().err)


def test_disk_full_leaves_no_half_file(picture: Path, tmp_path: Path, monkeypatch, capsys):
    def full(self: Image.Image, file: Any, *_: Any, **__: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    out = tmp_path / "out"
    assert main(["segment", str(picture), "cup?", "--out", str(out)]) == 2
    assert "No space left" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_wide_kinds_of_good_pictures(tmp_path: Path):
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000"):
        path = tmp_path / f"picture.{kind}"
        path.write_bytes(file_bytes(photo(), kind))
        assert main(["segment", str(path), "cup?", "--out", str(tmp_path / kind)]) == 0
