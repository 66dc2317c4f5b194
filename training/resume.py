"""Where a run goes on, and whether it is the same run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lisa.errors import ConfigError
from lisa.settings import plain
from training.checkpoints import latest_checkpoint, step_of
from training.config import TrainConfig

CHECKPOINTS = "checkpoints"
# What may change between two parts of a run, because it changes nothing that is learnt.
_FREE = ("output.", "validation.", "device", "data.workers", "data.damaged_share")


def starting_point(config: TrainConfig, resume: bool) -> Path | None:
    """Return the checkpoint that a run goes on from; None if it begins.

    Raises:
        ConfigError: If there is a run already and nobody asked to go on with it.
    """
    found = latest_checkpoint(config.output.folder / CHECKPOINTS)
    if found is not None and not resume:
        raise ConfigError(
            f"{str(config.output.folder)!r} already holds a run of {step_of(found)} steps: add "
            "--resume to go on, or choose another output.folder."
        )
    return found


def check_same_run(
    metadata: Mapping[str, str], config: TrainConfig, processes: int, checkpoint: Path
) -> None:
    """Accept a checkpoint only for the run that it is of.

    Raises:
        ConfigError: Naming every setting that differs and decides what is learnt.
    """
    before, now = (_flat(one) for one in (json.loads(metadata["config"]), plain(config)))
    before["processes"], now["processes"] = int(metadata["processes"]), processes
    changed = [
        f"{name} was {before.get(name)} and is {now.get(name)}"
        for name in changed_settings(before, now, _FREE)
    ]
    if changed:
        raise ConfigError(
            f"{str(checkpoint)!r} is of another run: {'; '.join(changed)}. Set them back, or "
            "choose another output.folder."
        )


def changed_settings(
    before: Mapping[str, Any], now: Mapping[str, Any], free: tuple[str, ...] = ()
) -> list[str]:
    """Return the names of settings that differ, in order.

    Args:
        before: Of a part of a run that is done.
        now: Of the part that is to follow.
        free: How names begin that may differ.
    """
    return [
        name
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not name.startswith(free)
    ]


def _flat(data: Any, place: str = "") -> dict[str, Any]:
    if not isinstance(data, dict):
        return {place: data}
    dot = f"{place}." if place else ""
    flat: dict[str, Any] = {}
    for name, inner in data.items():
        flat |= _flat(inner, dot + name)
    return flat
