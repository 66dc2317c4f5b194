from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lisa
from lisa.data.registry import DataSetEntry
from lisa.settings import build_settings, override
from training.card import CardFacts, write_card
from training.config import TrainConfig
from training.validation import LOG


def facts(folder: Path, *words: str) -> CardFacts:
    data = {"data": {"registry": "data.yaml"}, "output": {"folder": str(folder)}}
    config = build_settings(TrainConfig, override(data, words), "test")
    own, other = folder / "own", folder / "other"
    own.mkdir(exist_ok=True)
    other.mkdir(exist_ok=True)
    (own / "LICENSE.txt").write_text("free")
    entries = (
        (DataSetEntry("cups | mugs", "jsonl", own, "train", 3.0), 1234),
        (DataSetEntry("other", "coco", other), 5),
    )
    return CardFacts(config, "learns: a table", entries, 2)


def line(step: int, giou: float | None, **more: Any) -> dict[str, Any]:
    scores = {"giou": giou, "ciou": 0.25, "n": 8, "emission": 1.0, "false_positives": None}
    by_name = {"near": {**scores, "giou": step / 100}, "far": scores}
    return {"step": step, **scores, "damaged": 0, "data_sets": by_name, **more}


def card(folder: Path, done: int, *lines: dict[str, Any], words: tuple[str, ...] = ()) -> str:
    (folder / LOG).write_text("".join(json.dumps(one) + "\n" for one in lines))
    write_card(facts(folder, *words), done, folder / "card.md")
    return (folder / "card.md").read_text()


def test_what_is_known_stands_in_the_card(tmp_path: Path) -> None:
    text = card(tmp_path, 100, words=("optimizer.batch=2", "optimizer.accumulation=3"))
    assert f"`lisa-nano` with `lisa train` of lisa-assistant {lisa.__version__}" in text
    assert "100 of 5,000 steps" in text
    assert "learns: a table" in text
    assert "| cups / mugs | jsonl | train | 3 | 1,234 | see its LICENSE.txt |" in text
    assert "| other | coco |  | 1 | 5 | not known |" in text
    assert "| pictures a step | 12, from 3 micro-batches of 2 on 2 processes |" in text
    assert "## Validation\n\nNone." in text


def test_scores_up_to_the_step_of_the_model(tmp_path: Path) -> None:
    lines = [line(0, 0.125), line(50, 0.5), line(100, 0.4, damaged=3), line(150, 0.9)]
    text = card(tmp_path, 100, *lines)
    assert "| 0 | 0.125 | 0.250 | 8 | 1.000 | – |" in text
    assert "| 100 | 0.400 |" in text
    assert "| 150 |" not in text
    assert "By data set, at step 50:" in text
    assert "| near | 0.500 |" in text
    assert "3 records are damaged" in text
    assert "lisa train config.yaml output.folder=again" in text


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_could_be_asked(tmp_path: Path, count: int) -> None:
    text = card(tmp_path, 100, *[line(step, None) for step in range(count)])
    assert "| 0 | – |" in text
