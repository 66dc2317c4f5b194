"""How many questions a second an evaluation answers, beside asking them one by one.

One by one is how released evaluation code works: every question opens its picture, both encoders
see it, and the answer is written alone. Both ways take turns in one run, so that a busy machine
slows both down, and are asked the same: scenes of the repository, four questions each, exactly
twelve new tokens an answer.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from eval.nano.pictures import Picture
from eval.nano.read_scenes import load_scenes
from eval.prediction_log import PredictionLog
from eval.protocols import PROTOCOLS
from eval.results import judge
from eval.runner import RunSettings, run

if TYPE_CHECKING:
    from lisa.pipeline import LisaPipeline

PICTURES = 4
QUESTIONS = 4
NEW_TOKENS = 12
REPEATS = 3
SETTINGS = RunSettings(batch_size=8, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS)


def measure() -> dict[str, float]:
    """Measure lisa-nano on the CPU, and a model of LISA-7B's shape where there is a GPU.

    Returns:
        Questions a second of the evaluation and of asking one by one, medians of three rounds, and
        how many times as many the evaluation answers (median of the rounds' own ratios).
    """
    import torch

    from lisa.devices import limit_threads
    from lisa.pipeline import LisaPipeline

    found = {"threads": float(limit_threads())}
    nano = LisaPipeline.from_pretrained("lisa-nano", device="cpu", offline=True)
    found |= {f"nano_cpu_{name}": value for name, value in compare(nano).items()}
    if torch.cuda.is_available():
        from eval.timings.large_model import large_pipeline

        large = large_pipeline(torch.device("cuda"))
        found |= {f"7b_cuda_{name}": value for name, value in compare(large).items()}
    return found


def compare(pipeline: LisaPipeline, repeats: int = REPEATS) -> dict[str, float]:
    """Measure both ways in turns.

    Args:
        pipeline: The model.
        repeats: How often.
    """
    pictures = asked_pictures()
    number = sum(len(picture.questions) for picture in pictures)
    rounds = []
    for repeat in range(repeats + 1):
        times = (_timed(_one_by_one, pipeline, pictures), _timed(_together, pipeline, pictures))
        if repeat:  # the first round warms up
            rounds.append(times)
    return {
        "samples_per_second": number / statistics.median(fast for _, fast in rounds),
        "one_by_one_samples_per_second": number / statistics.median(slow for slow, _ in rounds),
        "ratio": statistics.median(slow / fast for slow, fast in rounds),
    }


def asked_pictures() -> tuple[Picture, ...]:
    """Return scenes of the repository with four questions in words each."""
    kept = []
    for picture in load_scenes():
        worded = tuple(one for one in picture.questions if one.text is not None)[:QUESTIONS]
        if len(worded) == QUESTIONS:
            kept.append(replace(picture, questions=worded))
    return tuple(kept[:PICTURES])


def _timed(ask: object, pipeline: LisaPipeline, pictures: Sequence[Picture]) -> float:
    import torch

    assert callable(ask)
    started = time.perf_counter()
    ask(pipeline, pictures)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


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
