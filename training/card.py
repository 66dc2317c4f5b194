"""The model card of a run: what was learnt from what, how, and how well, from the run's own files.

It stands in the run's folder, in every checkpoint, and beside the model that `lisa merge` makes of
one. It says what is known and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lisa
from lisa.data.registry import DataSetEntry
from lisa.tokens import SEG_TOKEN
from training.config import TrainConfig
from training.validation import LOG, MAX_NEW_TOKENS

CARD = "README.md"
_LICENCES = ("LICENSE*", "LICENCE*", "COPYING*")


@dataclass(frozen=True)
class CardFacts:
    """What a card says that holds for the whole run.

    Attributes:
        config: Of the run.
        learns: The table of what learns, with counts.
        data_sets: What is learnt from, with the number of records of each.
        processes: How many take part.
    """

    config: TrainConfig
    learns: str
    data_sets: tuple[tuple[DataSetEntry, int], ...]
    processes: int


def write_card(facts: CardFacts, done: int, path: Path) -> None:
    """Write the card.

    Args:
        facts: Of the run.
        done: Steps that the model has learnt.
        path: Of the file.
    """
    config = facts.config
    start = config.model.start
    revision = f", revision `{config.model.revision}`" if config.model.revision else ""
    parts = [
        f"# {config.output.folder.absolute().name}",
        f"Fine-tuned from `{start}`{revision} with `lisa train` of lisa-assistant "
        f"{lisa.__version__}: {done:,} of {config.optimizer.steps:,} steps.",
        "## What learnt",
        f"```\n{facts.learns}\n```",
        "## Learnt from",
        _data_sets(facts),
        "## Recipe",
        _recipe(facts),
        "## Validation",
        _validation(config, done),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _data_sets(facts: CardFacts) -> str:
    rows = [
        (one.name, one.format, one.split or "", f"{one.weight:g}", f"{records:,}", _licence(one))
        for one, records in facts.data_sets
    ]
    return _table(("data set", "format", "split", "weight", "records", "licence"), rows)


def _licence(entry: DataSetEntry) -> str:
    """Name the licence file that lies with a data set; nobody else here knows its licence."""
    folder = entry.path if entry.path.is_dir() else entry.path.parent
    found = sorted(path.name for name in _LICENCES for path in folder.glob(name))
    return f"see its {found[0]}" if found and entry.path.exists() else "not known"


def _recipe(facts: CardFacts) -> str:
    config, settings = facts.config, facts.config.optimizer
    pictures = settings.batch * settings.accumulation * facts.processes
    loss = config.loss
    learning, model = config.learning, config.model
    rows = {
        "pictures a step": f"{pictures}, from {settings.accumulation} micro-batches of "
        f"{settings.batch} on {facts.processes} processes",
        "learning rate": f"{settings.learning_rate:g}, {settings.schedule}, {settings.warmup} "
        "steps of warm-up",
        "optimiser": f"AdamW, betas {settings.betas[0]:g} and {settings.betas[1]:g}, weight decay "
        f"{settings.weight_decay:g}, gradients clipped at {settings.clip:g}",
        "LoRA": f"rank {learning.lora_rank}, alpha {learning.lora_alpha:g}, dropout "
        f"{learning.lora_dropout:g}",
        "loss": f"text {loss.text:g}, BCE {loss.bce:g}, Dice {loss.dice:g}, map "
        f"{loss.auxiliary:g}; divided by {loss.normalize}",
        "wording": config.data.samples.wording,
        "number type": f"{model.dtype}, {model.quantize}" if model.quantize else model.dtype,
        "seed": str(config.seed),
    }
    return _table(("", ""), [*rows.items()]) + "\n\nThe whole configuration is in `config.yaml`."


def _validation(config: TrainConfig, done: int) -> str:
    lines = [line for line in validation_lines(config.output.folder) if line["step"] <= done]
    if not lines:
        return "None."
    head = ("step", "gIoU", "cIoU", "questions", f"{SEG_TOKEN} emitted", "absent things pointed at")
    last = lines[-1]
    best = max((one for one in lines if one["giou"] is not None), key=_giou, default=last)
    text = (
        f"The data sets named for validation are asked about in one wording; the model writes its "
        f"own answers (at most {MAX_NEW_TOKENS} tokens), whose masks are united. Made by "
        "`lisa train config.yaml output.folder=again`."
    )
    rows = [_row(str(one["step"]), one) for one in lines]
    by_name = [_row(name, scores) for name, scores in best["data_sets"].items()]
    parts = [text, _table(head, rows)]
    if len(by_name) > 1:
        parts += [f"By data set, at step {best['step']}:", _table(("data set", *head[1:]), by_name)]
    if last["damaged"]:
        parts.append(f"{last['damaged']} records are damaged and were left out.")
    return "\n\n".join(parts)


def validation_lines(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's validations, oldest first; none if there was none."""
    path = folder / LOG
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _giou(line: Mapping[str, Any]) -> float:
    return float(line["giou"])


def _row(name: str, scores: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        name,
        *(_shown(scores[key]) for key in ("giou", "ciou")),
        str(scores["n"]),
        *(_shown(scores[key]) for key in ("emission", "false_positives")),
    )


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[cell.replace("|", "/") for cell in line] for line in (head, *rows)]
    lines.insert(1, ["---"] * len(head))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
