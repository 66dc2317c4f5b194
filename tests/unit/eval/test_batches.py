"""Batches over several pictures: what runs how often, and that no answer depends on the rest."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eval.nano.pictures import Picture
from eval.prediction_log import PredictionLog, read_predictions
from eval.processes import ALONE, Processes
from eval.results import Result
from eval.runner import Evaluation, RunSettings, run
from lisa.errors import ConfigError, DataError
from lisa.pipeline import LisaPipeline
from tests.encoder_calls import encoder_calls
from tests.tiny import SEG_ID, picture, tiny_model, tiny_processor
from tests.tiny_nano import nano_model, nano_processor
from tests.unit.eval.fakes import OraclePipeline, make_pictures

END = 1
HEADER = {"model": "tiny"}
SETTINGS = RunSettings(batch_size=2, max_new_tokens=2)
SMALL = replace(SETTINGS, batch_size=1)
"""Chunks of two pictures: five pictures are three chunks, and no process has as many."""


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Picture, ...]:
    """Five pictures of eight questions, with questions of different lengths."""
    made = []
    for number, one in enumerate(make_pictures(tmp_path, 5)):
        questions = [
            q if q.text is None else replace(q, text=q.text + " and so on" * ((number + n) % 3))
            for n, q in enumerate(one.questions)
        ]
        made.append(replace(one, questions=tuple(questions)))
    return tuple(made)


def saying(token: int) -> LisaPipeline:
    """The tiny model that says one thing only."""
    pipeline = LisaPipeline(tiny_model(), tiny_processor())
    bonus = torch.zeros(pipeline.model.backbone.get_output_embeddings().out_features)
    bonus[token] = 1e3
    head = pipeline.model.backbone.get_output_embeddings()
    head.register_forward_hook(lambda module, arguments, logits: logits + bonus)
    return pipeline


def ask(
    pipeline: Any,
    pictures: tuple[Picture, ...],
    settings: RunSettings = SETTINGS,
    path: Path | None = None,
    resume: bool = False,
    processes: Processes = ALONE,
) -> Evaluation:
    with PredictionLog(path, HEADER, resume, processes) as log:
        return run(pipeline, pictures, log, settings, name="test", show=False)


def untimed(path: Path) -> list[str]:
    """The lines of a file, byte for byte but for the seconds."""
    lines = []
    for line in path.read_text().splitlines():
        record = json.loads(line)
        record.pop("seconds", None)
        lines.append(json.dumps(record))
    return lines


def shown(result: Result) -> np.ndarray:
    assert result.masks is not None
    return result.masks.given()


def assert_alike(found: Evaluation, wanted: Evaluation) -> None:
    assert [one.key for one in found.results] == [one.key for one in wanted.results]
    for one, other in zip(found.results, wanted.results, strict=True):
        assert one.answer == other.answer
        assert (one.pointed, one.new_tokens) == (other.pointed, other.new_tokens)
        union = (shown(one) | shown(other)).sum()
        assert union == 0 or (shown(one) & shown(other)).sum() / union >= 0.999


def test_the_answers_do_not_depend_on_the_batch(pictures) -> None:
    pipeline = saying(SEG_ID)
    alone = ask(pipeline, pictures, replace(SETTINGS, batch_size=1))
    assert len(alone.results) == 40
    assert any(shown(one).any() for one in alone.results)
    assert len({one.counts for one in alone.results}) > 5
    for size in (3, 8):
        assert_alike(ask(pipeline, pictures, replace(SETTINGS, batch_size=size)), alone)


@pytest.mark.parametrize("token", [SEG_ID, END])
def test_each_encoder_sees_each_picture_once(pictures, token) -> None:
    pipeline = saying(token)
    worded = tuple(
        replace(one, questions=tuple(q for q in one.questions if q.text)) for one in pictures
    )
    tower = encoder_calls(pipeline.model.backbone.base_model.vision_tower)
    sam = encoder_calls(pipeline.model.segmenter.image_encoder)
    found = ask(pipeline, worded, RunSettings(batch_size=8, max_new_tokens=2))
    assert tower == [4, 1]
    # The segmenter only looks at pictures that are pointed at.
    assert sum(sam) == (5 if token == SEG_ID else 0)
    assert {one.pointed for one in found.results} == ({2} if token == SEG_ID else {0})
    assert {one.new_tokens for one in found.results} == ({2} if token == SEG_ID else {1})


def test_little_memory_makes_small_windows(pictures) -> None:
    pipeline = saying(SEG_ID)
    whole = ask(pipeline, pictures)
    size = pipeline.kept_bytes(pictures[-1].size) + 8 * pictures[-1].size[0] * pictures[-1].size[1]
    for budget, calls in ((1, [1] * 5), (2 * size, [2, 2, 1])):
        seen = encoder_calls(pipeline.model.backbone.base_model.vision_tower)
        small = replace(SETTINGS, cache_bytes=budget)
        assert_alike(ask(pipeline, pictures, small), whole)
        assert seen == calls


@pytest.mark.parametrize("kind", ["sam", "trunk"])
def test_the_memory_of_a_picture_is_known_beforehand(kind) -> None:
    model, processor = (
        (tiny_model(), tiny_processor()) if kind == "sam" else (nano_model(), nano_processor())
    )
    pipeline = LisaPipeline(model, processor)
    image = picture(30, 40)
    encoded = pipeline.encode(image)
    assert encoded.image_tokens is not None
    features = model.encode_for_segmenter(encoded).segmenter_features
    assert features is not None
    frame = processor.encode_images([image]).sam_pixel_values
    parts = (encoded.image_tokens, frame, features.embedding, *features.skips)
    size = pipeline.kept_bytes(encoded.original_size)
    assert size == sum(part.numel() * part.element_size() for part in parts)


class Stopped:
    """Stands for a pipeline and stops it, as if by Ctrl-C, before one of its answers."""

    def __init__(self, pipeline: LisaPipeline, patience: int) -> None:
        self._pipeline = pipeline
        self.patience = patience

    def __getattr__(self, name: str) -> Any:
        if name in ("answer", "segment_region"):
            if not self.patience:
                raise KeyboardInterrupt
            self.patience -= 1
        return getattr(self._pipeline, name)


def test_a_run_that_was_stopped_goes_on_as_if_nothing_had_been(
    pictures, tmp_path: Path, capsys
) -> None:
    pipeline, whole = saying(SEG_ID), tmp_path / "whole.jsonl"
    wanted = ask(pipeline, pictures, path=whole)
    assert len(untimed(whole)) == 41
    for patience in (0, 1, 6, 17):
        path = tmp_path / f"{patience}.jsonl"
        with pytest.raises(KeyboardInterrupt):
            ask(Stopped(pipeline, patience), pictures, path=path)
        assert f"stopped: {path} keeps the answers so far" in capsys.readouterr().err
        assert len(read_predictions(path).results) <= 2 * patience
        with path.open("a") as file:
            file.write('{"at": [4, ')
        found = ask(pipeline, pictures, path=path, resume=True)
        assert untimed(path) == untimed(whole)
        assert [one.counts for one in found.results] == [one.counts for one in wanted.results]
    again = ask(Stopped(pipeline, 0), pictures, path=whole, resume=True)
    assert len(again.results) == 40


def ask_as_several(
    pipeline: Any, pictures: tuple[Picture, ...], path: Path, count: int, resume: bool = False
) -> list[Evaluation]:
    """Run several "processes" as threads; the tiny model has no state that they could mix up."""
    barrier, found = threading.Barrier(count), {}

    def one(index: int) -> None:
        processes = Processes(index, count, lambda: barrier.wait(60))
        found[index] = ask(pipeline, pictures, SMALL, path, resume, processes)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[index] for index in range(count)]


@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_write_what_one_writes(pictures, tmp_path: Path, count) -> None:
    one, many = tmp_path / "one.jsonl", tmp_path / "many.jsonl"
    oracle = OraclePipeline(pictures)
    wanted = ask(oracle, pictures, SMALL, one)
    found = ask_as_several(oracle, pictures, many, count)
    assert oracle.asked == 80
    assert untimed(many) == untimed(one)
    assert [one.key for one in found[0].results] == [one.key for one in wanted.results]
    assert [path.name for path in tmp_path.glob("many*")] == ["many.jsonl"]


def test_what_several_processes_left_is_resumed_by_any_number(pictures, tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    ask(OraclePipeline(pictures), pictures, SMALL, whole)
    header, *lines = whole.read_text().splitlines()
    for count in (1, 2, 3):
        path = tmp_path / f"{count}.jsonl"
        path.write_text("\n".join([header, *lines[3:9]]) + "\n")
        for rank, own in ((1, lines[20:24]), (2, lines[30:33])):
            part = path.with_name(f"{count}.rank-{rank}.jsonl")
            part.write_text("\n".join([header, *own]) + '\n{"at": [3')
        assert len(read_predictions(path).results) == 13
        oracle = OraclePipeline(pictures)
        ask_as_several(oracle, pictures, path, count, resume=True)
        # A batch with an open question is asked again, but no answer is written twice.
        assert oracle.asked < 40
        assert untimed(path) == untimed(whole)
        assert not list(tmp_path.glob(f"{count}.rank-*"))


def test_teacher_forcing_gives_the_answer(pictures) -> None:
    pipeline = saying(END)
    forced = replace(SETTINGS, protocol="teacher_forced")
    found = ask(pipeline, pictures, forced)
    assert_alike(ask(pipeline, pictures, replace(forced, batch_size=8)), found)
    worded = [one for one in found.results if one.group not in ("click", "box")]
    assert {(one.pointed, one.answer, one.new_tokens) for one in worded} == {(None, None, 0)}
    assert all(one.masks is not None and len(one.masks.segments) == 1 for one in worded)
    assert len({one.predicted_pixels for one in worded}) > 3


@pytest.mark.parametrize("change", ["words", "fewer"])
def test_changed_questions_are_not_mixed_with_old_answers(pictures, tmp_path, change) -> None:
    path = tmp_path / "p.jsonl"
    ask(OraclePipeline(pictures), pictures, path=path)
    first = pictures[2].questions[0]
    questions = (replace(first, text="other words"), *pictures[2].questions[1:])
    if change == "fewer":
        questions = pictures[2].questions[:-1]
    changed = (*pictures[:2], replace(pictures[2], questions=questions), *pictures[3:])
    for now in (changed, pictures[:4]):
        with pytest.raises(DataError, match="not asked any more: the data have changed"):
            ask(OraclePipeline(now), now, path=path, resume=True)


def test_the_bar_shows_the_running_score(pictures, capsys) -> None:
    with PredictionLog(None, HEADER) as log:
        run(OraclePipeline(pictures), pictures, log, SETTINGS, name="scenes")
    shown = capsys.readouterr().err
    assert "scenes: " in shown
    assert "box gIoU 1.000" in shown


def test_wrong_settings_are_one_sentence() -> None:
    with pytest.raises(ConfigError, match="no protocol 'forced': use generate or teacher_forced"):
        RunSettings(protocol="forced")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="batch_size is 0: it must be 1 or more"):
        RunSettings(batch_size=0)


def test_an_error_of_ours_is_not_swallowed_by_the_reading_thread(pictures) -> None:
    pipeline = saying(END)
    pipeline.processor.encode_images = None  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError, match="not callable"):
        ask(pipeline, pictures)
