"""From a model's name to a folder on this machine: a local path, or a Hugging Face repository."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lisa.errors import CheckpointError

# Everything a model folder may hold that we read; nothing that would run. Pickled weights are
# fetched only where there are no others.
_WANTED = ("*.json", "*.model", "*.txt", "*.jinja", "*.safetensors")
_PICKLED = "*.bin"
_NEVER = ("*/*", "training_args.bin", "optimizer*", "scheduler*")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

NANO = "lisa-nano"
"""The model that comes with the package."""


def resolve(
    name_or_path: str | Path,
    revision: str | None = None,
    offline: bool = False,
    *,
    wanted: Sequence[str] = _WANTED,
    pickled: str | None = _PICKLED,
) -> Path:
    """Returns the folder of a model, downloading it if need be (with a progress bar).

    Args:
        name_or_path: A folder, "lisa-nano", or a hub id such as "xinlai/LISA-7B-v1".
        revision: Branch, tag or commit of the hub repository; None is its main branch.
        offline: Use only what was downloaded before.
        wanted: Patterns of the files to fetch.
        pickled: Pattern of the weight files to fetch where there are no safetensors; None for none.

    Raises:
        CheckpointError: If there is no such folder and no such repository, or it cannot be had.
    """
    if str(name_or_path) == NANO:
        return Path(__file__).with_name("nano")
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return path
    name = str(name_or_path)
    if path.exists():
        raise CheckpointError(f"{name} is a file; give the folder that holds it.")
    if not _HUB_ID.fullmatch(name) or name.startswith("."):
        raise CheckpointError(
            f"There is no folder {name}, and it is no hub id of the form owner/name; "
            "check the path."
        )
    return _download(name, revision, offline, tuple(wanted), pickled)


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file of a model's folder.

    Raises:
        CheckpointError: If it cannot be read or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}): give the folder of a model, or fetch it again."
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds no JSON object: give the folder of a model, or fetch it again."
        )
    return content


def _download(
    repository: str,
    revision: str | None,
    offline: bool,
    wanted: tuple[str, ...],
    pickled: str | None,
) -> Path:
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at revision {revision}" if revision else ""
    try:
        folder = _snapshot(repository, revision, offline, wanted)
        if pickled is not None and not any(folder.glob("*.safetensors")):
            folder = _snapshot(repository, revision, offline, (*wanted, pickled))
    except GatedRepoError as error:
        raise CheckpointError(
            f"{repository} asks for an agreement first; accept it on its hub page and log in with "
            "`hf auth login`."
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointError(
            f"{repository} has no revision {revision}; leave --revision out for the newest."
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"There is no folder and no hub repository {repository}, or it is private; "
            "check the name."
        ) from error
    except LocalEntryNotFoundError as error:
        remedy = "run once without --offline" if offline else "check the network"
        raise CheckpointError(
            f"{repository}{at} is not on this machine and could not be fetched; {remedy}, or give "
            "the folder of a copy."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"{repository}{at} could not be fetched ({reason[0]}); check the network and the disk, "
            "or give the folder of a copy."
        ) from error
    return folder


def _snapshot(
    repository: str, revision: str | None, offline: bool, patterns: tuple[str, ...]
) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            repository,
            revision=revision,
            local_files_only=offline,
            allow_patterns=list(patterns),
            ignore_patterns=list(_NEVER),
        )
    )
