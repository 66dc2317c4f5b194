"""Checks around loading weights: nothing may be missing, nothing may be left over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedConfig

from lisa.errors import CheckpointError, ConfigError

# Options of `from_pretrained` that say where a file comes from; the configuration is fetched with
# them too.
HUB_OPTIONS = ("revision", "cache_dir", "local_files_only", "token", "force_download", "subfolder")

_SHOWN = 8


def as_dtype(name: torch.dtype | str) -> torch.dtype:
    """Return the floating number type called `name`.

    Raises:
        ConfigError: If there is none.
    """
    dtype = getattr(torch, name, None) if isinstance(name, str) else name
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ConfigError(f"{name!r} is no number type: use float32, bfloat16 or float16.")
    return dtype


@contextmanager
def readable_weights(source: str) -> Iterator[None]:
    """Around reading weights: what transformers raises becomes a sentence.

    Raises:
        CheckpointError: If they are missing, damaged or of other shapes.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The weights in {source} are missing or damaged ({error}): fetch or save them again."
        ) from error
    except RuntimeError as error:
        raise CheckpointError(
            f"The weights in {source} do not fit the model that its config.json describes: {error}"
        ) from error


def check_report(source: str, report: Mapping[str, Any]) -> None:
    """Accept a loading report only if every weight was found and known.

    Args:
        source: Where the weights came from, for the message.
        report: What transformers returns for `output_loading_info=True`.

    Raises:
        CheckpointError: Listing missing and unexpected weights.
    """
    faults = [
        f"{title}: {_names(report.get(key) or ())}"
        for title, key in (
            ("missing", "missing_keys"),
            ("unexpected", "unexpected_keys"),
            ("of another shape", "mismatched_keys"),
        )
        if report.get(key)
    ]
    if faults:
        raise CheckpointError(
            f"The weights in {source} do not fit the model that its config.json describes "
            f"({'; '.join(faults)}): use the configuration they were saved with."
        )


def check_uniform(
    name: str,
    part: nn.Module,
    dtype: torch.dtype | None = None,
    kept: Collection[str] = (),
) -> None:
    """Accept a part only if its floating weights have one number type.

    Args:
        name: Of the part, for the message.
        part: Whose weights are looked at.
        dtype: The type that they must have; None accepts any single one.
        kept: Names of modules inside that are loaded in float32 in any case, and may differ.

    Raises:
        CheckpointError: If they have several, or another.
    """
    found = {
        value.dtype
        for key, value in part.state_dict().items()
        if value.is_floating_point()
        and not (value.dtype == torch.float32 and set(key.split(".")) & set(kept))
    }
    if len(found) > 1 or (dtype is not None and found - {dtype}):
        types = ", ".join(sorted(str(one).removeprefix("torch.") for one in found))
        raise CheckpointError(
            f"The {name} has weights of type {types}, but a saved model has one for its backbone "
            "and one for the rest: convert it with `.to(dtype)` before saving."
        )


def note_dtype(config: PreTrainedConfig, dtype: torch.dtype) -> None:
    """Write the number type into a configuration and all configurations inside it."""
    config.dtype = dtype
    for key in config.sub_configs:
        inner = getattr(config, key, None)
        if isinstance(inner, PreTrainedConfig):
            note_dtype(inner, dtype)


def _names(keys: Iterable[Any]) -> str:
    names = sorted(str(key[0] if isinstance(key, tuple) else key) for key in keys)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
