"""Thirty pictures of one's own: lisa-nano learns them and keeps what it knew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lisa.pipeline import LisaPipeline
from tests.data_sets import own_signs

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "lisa" / "nano" / "demo" / "scene.jpg"
CONFIG = ROOT / "training" / "configs" / "custom.yaml"
REGISTRY = """
data_sets:
  - {name: signs, format: jsonl, path: signs, split: train}
validation:
  - {name: held-out signs, format: jsonl, path: signs, split: val}
"""
GROUPS = ("naming", "reasoning_seen", "click")
"""Of the model's own benchmark."""

LEAST_GAIN, MOST_LOST = 0.2, 0.05


def run(folder: Path, module: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def own_benchmark(folder: Path, model: str) -> dict[str, Any]:
    asked = ("--only", ",".join(GROUPS), "--limit", "40", "--untrained-limit", "1")
    scores: dict[str, Any] = json.loads(
        run(folder, "eval.nano", "--model", model, "--json", *asked)
    )
    return scores


@pytest.mark.slow
def test_thirty_pictures_teach_new_things_and_cost_little(tmp_path: Path) -> None:
    own_signs.write(tmp_path / "signs")
    (tmp_path / "data.yaml").write_text(REGISTRY)
    run(tmp_path, "lisa.cli", "train", str(CONFIG), "data.registry=data.yaml", "output.folder=run")
    lines = (tmp_path / "run" / "validation.jsonl").read_text().splitlines()
    found = {line["step"]: line["giou"] for line in map(json.loads, lines)}
    last = max(found)
    print("held-out gIoU", found)
    assert found[last] - found[0] >= LEAST_GAIN
    checkpoint = tmp_path / "run" / "checkpoints" / f"step-{last:08d}"
    run(tmp_path, "lisa.cli", "merge", str(checkpoint), "merged")
    before, after = (own_benchmark(tmp_path, model) for model in ("lisa-nano", "merged"))
    for group in GROUPS:
        print(group, before[group]["giou"], after[group]["giou"])
        assert after[group]["giou"] >= before[group]["giou"] - MOST_LOST
    answer = LisaPipeline.from_pretrained(tmp_path / "merged")(
        DEMO, "Does the picture show an avocado? Yes or no?"
    )
    assert not answer.segments
    assert answer.text.split(",")[0] in ("Yes", "No")
