"""Asks the model that is learning about pictures that it does not learn from.

The questions, the protocol (*generate*: the model writes its own answers) and the scores are those
of `eval`. A validation leaves nothing behind in the run: the same losses come with and without it.
It writes

- a line of `validation.jsonl`: `step` (how many are done; 0 is before the first), `giou` and `ciou`
  over all questions, `n` of them, `emission` and `false_positives` (`eval.metrics.score_pointing`),
  `damaged` records, `seconds`, the same scores for each data set and kind of question under
  `data_sets`, and `asked`, which is equal where the questions were;
- `validation/step-00000100.png`: picture, right mask, given mask, question and answer.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed

from eval.answer_pictures import draw_answers
from eval.benchmarks.lazy_pictures import LazyPictures, pictures_at
from eval.data_sets import DataSet, RecordPicture, choose_records
from eval.prediction_log import PredictionLog
from eval.runner import Evaluation, RunSettings, run
from eval.summary import mask_scores, pointing_scores, summarise
from lisa.data.formats import read_registry
from lisa.data.registry import DataSetEntry
from lisa.data.spread import spread
from lisa.data.wordings import get_wording
from lisa.errors import ConfigError, LisaError
from lisa.models import LisaModel
from lisa.pipeline import LisaPipeline
from training.config import TrainConfig
from training.log import forget, short

LOG = "validation.jsonl"
PICTURES = "validation"
MAX_NEW_TOKENS = 64
"""An answer has about a dozen tokens, with an explanation some more; longer ones are cut."""


class Validation:
    """The validation of one run."""

    def __init__(
        self, config: TrainConfig, pipeline: LisaPipeline, process: int, processes: int
    ) -> None:
        """Open the data sets.

        Args:
            config: Of the run.
            pipeline: With the model that learns.
            process: Which process this is, from 0; the first one writes.
            processes: How many share the records.

        Raises:
            ConfigError: If the registry is wrong.
            DataError: If a data set is not complete.
        """
        self.settings = config.validation
        self.folder = config.output.folder
        self.steps = config.optimizer.steps
        self.pipeline = pipeline
        self.process = process
        self.processes = processes
        self.wording = get_wording(config.data.samples.wording)
        entries = validation_entries(config) if self.settings.every else ()
        data_sets = [DataSet(one.name, one.open()) for one in entries]
        self.places = choose_records(data_sets, self.settings.records)
        self.pictures = pictures_at(self.places, self.wording)
        self.names = [one.name for one in data_sets]
        if entries and not self.places:
            raise ConfigError(f"There is nothing to ask about in {', '.join(self.names)}.")

    @property
    def own_pictures(self) -> LazyPictures[RecordPicture]:
        """What this process asks about; together the processes take each picture once."""
        return self.pictures[self.process :: self.processes]

    def begin(self, first: int) -> None:
        """Drop the lines of validations that are done again.

        Args:
            first: Steps that are done when the run begins or goes on.
        """
        if self.process == 0:
            forget(self.folder / LOG, first + 1 if first else 0)

    def is_due(self, done: int) -> bool:
        """Whether there is a validation when so many steps are done."""
        return bool(self.places) and (done % self.settings.every == 0 or done == self.steps)

    def run(self, done: int) -> dict[str, Any]:
        """Ask about all records, and write the line and the pictures.

        Args:
            done: Steps that are done.

        Returns:
            The line, equal in all processes but for the seconds.
        """
        began = time.perf_counter()
        with undisturbed(self.pipeline.model):
            found = run(
                self.pipeline,
                self.own_pictures,
                PredictionLog(None, {}),
                RunSettings(max_new_tokens=MAX_NEW_TOKENS),
                name="validation",
                show=self.process == 0,
            )
        found = _join(found)
        line = {"step": done, **_scores(found, self.names)}
        if self.process == 0:
            line["seconds"] = short(time.perf_counter() - began)
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self._draw(found, done)
        return line

    def _draw(self, found: Evaluation, done: int) -> None:
        """Draw one question of each of some records, the same ones every time."""
        results = {result.key: result for result in found.results}
        asked = []
        for number in spread(len(self.places), self.settings.pictures):
            try:
                picture = self.pictures[number]
            except LisaError:
                continue  # it was named when it was asked about
            # Where a picture has several questions, not the first one of every picture.
            answered = [one for one in picture.questions if one.key in results]
            if answered:
                question = answered[number % len(answered)]
                asked.append((picture, question, results[question.key]))
        if asked:
            folder = self.folder / PICTURES
            folder.mkdir(exist_ok=True)
            draw_answers(asked).save(folder / f"step-{done:08d}.png")


def validation_entries(config: TrainConfig) -> tuple[DataSetEntry, ...]:
    """Return the data sets that a run asks about.

    Raises:
        ConfigError: If the registry is wrong.
    """
    named = config.validation.registry
    registry = read_registry(config.data.registry if named is None else named)
    return registry.validation or (() if named is None else registry.data_sets)


@contextmanager
def undisturbed(model: LisaModel) -> Iterator[None]:
    """Put a model to use, and afterwards everything back as it was while it learns.

    Dropout and batch normalisation rest, matrix products have the number type that they learn in,
    and random numbers go on where they were.
    """
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    dtype = model.dtype
    own = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(own),
        torch.autocast(device.type, dtype, enabled=dtype in (torch.bfloat16, torch.float16)),
    ):
        model.train(False)
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


def tracked(line: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a line as trackers take them, such as `validation/giou`."""
    names = ("giou", "ciou", "emission", "false_positives", "damaged")
    return {f"validation/{name}": line[name] for name in names if line[name] is not None}


def _scores(found: Evaluation, names: Sequence[str]) -> dict[str, Any]:
    by_name = summarise(found.results, names)
    for name in names:
        by_name[name] |= pointing_scores([one for one in found.results if one.group == name])
    keys = "\n".join(sorted(result.key for result in found.results))
    return {
        **mask_scores(found.results),
        **pointing_scores(found.results),
        "damaged": len(found.damaged),
        "asked": hashlib.sha256(keys.encode()).hexdigest()[:16],
        "data_sets": by_name,
    }


def _join(found: Evaluation) -> Evaluation:
    """Join what all processes have found; each asked about records of its own."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return found
    parts: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, found)
    return Evaluation(
        tuple(result for part in parts for result in part.results),
        tuple(fault for part in parts for fault in part.damaged),
    )
