"""How many questions a second an evaluation answers, beside asking them one by one.

One by one is how released evaluation code works: every question opens its picture, both encoders
see it, and the answer is written alone. Both ways take turns in one run, so that a busy machine
slows both down, and are asked the same: scenes of the repository, four questions each, exactly
twelve new tokens an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from eval.nano.pictures import Picture
from eval.nano.read_scenes import load_scenes
from eval.prediction_log import PredictionLog
from eval.protocols import PROTOCOLS
from eval.results import judge
from eval.runner import RunSettings, run
from lisa.measurement import Measurement, in_turns, seconds

if TYPE_CHECKING:
    from lisa.pipeline import LisaPipeline

PICTURES = 4
QUESTIONS = 4
NEW_TOKENS = 12
ROUNDS = 3
SETTINGS = RunSettings(batch_size=8, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS)


def measure() -> dict[str, Measurement]:
    """Measure lisa-nano on the CPU, and a model of LISA-7B's shape where there is a GPU.

    Returns:
        Questions a second of the evaluation, in three rounds; its ratio is to asking one by one.
    """
    import torch

    from lisa.pipeline import LisaPipeline

    nano = LisaPipeline.from_pretrained("lisa-nano", device="cpu", offline=True)
    found = {"nano_cpu": compare(nano)}
    if torch.cuda.is_available():
        from eval.timings.random_pipelines import random_pipeline
        from lisa.released.random_model import LISA_7B

        found["7b_cuda"] = compare(random_pipeline(torch.device("cuda"), LISA_7B))
    return found


def compare(pipeline: LisaPipeline, rounds: int = ROUNDS) -> Measurement:
    """Measure both ways in turns.

    Args:
        pipeline: The model.
        rounds: How often.
    """
    pictures = asked_pictures()
    number = sum(len(picture.questions) for picture in pictures)
    slow, fast = (
        [number / took for took in taken]
        for taken in in_turns(
            (
                lambda: seconds(lambda: _one_by_one(pipeline, pictures)),
                lambda: seconds(lambda: _together(pipeline, pictures)),
            ),
            rounds,
        )
    )
    return Measurement.of(fast, "questions/s", slow, more_is_better=True)


def asked_pictures() -> tuple[Picture, ...]:
    """Return scenes of the repository with four questions in words each."""
    kept = []
    for picture in load_scenes():
        worded = tuple(one for one in picture.questions if one.text is not None)[:QUESTIONS]
        if len(worded) == QUESTIONS:
            kept.append(replace(picture, questions=worded))
    return tuple(kept[:PICTURES])


def _together(pipeline: LisaPipeline, pictures: Sequence[Picture]) -> None:
    run(pipeline, pictures, PredictionLog(None, {}), SETTINGS, name="timing", show=False)


def _one_by_one(pipeline: LisaPipeline, pictures: Sequence[Picture]) -> None:
    for picture in pictures:
        for question in picture.questions:
            shown = pipeline.encode(picture.open())
            shown = pipeline.model.encode_for_segmenter(shown)
            answer = PROTOCOLS["generate"].ask(
                pipeline,
                [shown],
                [question],
                [0],
                max_new_tokens=NEW_TOKENS,
                min_new_tokens=NEW_TOKENS,
            )[0]
            judge(picture, question, picture.truth_of(question), answer)
