"""The wording that a model was trained with, as far as its folder tells."""

from __future__ import annotations

import json
from pathlib import Path

from lisa.data.wordings import get_wording

NANO = "lisa-nano"


def model_folder(model: str, revision: str | None, offline: bool) -> Path:
    """Return the folder of a model, downloading it if need be.

    Raises:
        CheckpointError: If there is none.
    """
    from lisa.hub import resolve

    if model == NANO:
        import lisa

        return Path(lisa.__file__).parent / "nano"
    return resolve(model, revision, offline)


def choose_wording(given: str | None, model: str, revision: str | None, offline: bool) -> str:
    """Return the wording to ask in.

    A model keeps to the wordings that it was trained on. Those with lisa-nano's segmenter began as
    lisa-nano, so they are asked in its wording; all others in LISA's.

    Args:
        given: The user's choice; None follows the model.
        model: Name, hub id or folder.
        revision: Of a hub id.
        offline: Whether the network may not be asked.

    Raises:
        ConfigError: If there is no such wording.
        CheckpointError: If there is no such model.
    """
    if given is not None:
        get_wording(given)
        return given
    path = model_folder(model, revision, offline) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        is_nano = config["segmenter_config"]["kind"] == "trunk_sam"
    except (OSError, ValueError, KeyError, TypeError):
        is_nano = False  # a released layout; what is wrong with it is told when it is loaded
    return "nano" if is_nano else "lisa"
