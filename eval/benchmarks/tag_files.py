"""Files of predicted tags.

By their names, all pictures in any order:

    pred.txt   0a1b2c/000026e7ee790996,tree,house       decisions only, as recognize-anything writes
    *.jsonl    {"image": "0a1b2c/000026e7ee790996", "tags": {"tree": 0.91, "house": 0.4}}
    *.csv      image,tree,house                         the tags in order, then a picture a line
               0a1b2c/000026e7ee790996,0.91,0.4

In the order of the data set's list, `(pictures, tags)`:

    *.safetensors   one tensor, "probabilities", or "logits" of which the sigmoid is taken
    logits.pth      of recognize-anything, which holds probabilities

A tag that JSON lines leave out has probability 0. A folder stands for its `logits.pth` or, without
one, its `pred.txt`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lisa.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PredictedTags:
    """Predictions for all pictures of a data set.

    Attributes:
        probabilities: `(pictures, tags)` in [0, 1].
        decided: Whether they are decisions, 0 and 1, without any order between the pictures.
    """

    probabilities: Floats
    decided: bool


_DAMAGE = (
    csv.Error,
    UnicodeDecodeError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What a line of another form raises."""


def read_predicted_tags(path: Path, names: Sequence[str], tags: Sequence[str]) -> PredictedTags:
    """Read predictions.

    Args:
        path: See the module.
        names: Of the pictures; a name that stands there twice has one prediction.
        tags: In order; where one stands there twice, a prediction by its words is for both.

    Raises:
        DataError: If there is nothing of these forms, or it is damaged or for other pictures.
    """
    chosen = path
    if path.is_dir():
        inside = [path / "logits.pth", path / "pred.txt"]
        chosen = next((one for one in inside if one.is_file()), path)
    if not chosen.is_file() or chosen.suffix not in {*_NAMED, *_ORDERED}:
        raise DataError(
            f"{str(path)!r} holds no predicted tags: give pred.txt, logits.pth, or a file ending "
            "in .jsonl, .csv or .safetensors."
        )
    if chosen.suffix in _ORDERED:
        values = _ORDERED[chosen.suffix](chosen)
        if values.shape != (len(names), len(tags)):
            raise DataError(
                f"{str(chosen)!r} has values of shape {values.shape}, but there are {len(names)} "
                f"pictures and {len(tags)} tags."
            )
    else:
        values = _by_name(chosen, names, tags)
    if not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"{str(chosen)!r} has values that are no probabilities from 0 to 1.")
    return PredictedTags(values, chosen.suffix == ".txt")


def _by_name(path: Path, names: Sequence[str], tags: Sequence[str]) -> Floats:
    places: dict[str, list[int]] = {}
    for place, tag in enumerate(tags):
        places.setdefault(tag, []).append(place)
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    values = np.zeros((len(names), len(tags)))
    left = set(rows)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, name, said in _NAMED[path.suffix](file, tags):
                if name not in left:
                    again = "is there twice" if name in rows else "is no picture of the data set"
                    raise DataError(f"{path}:{number}: {name!r:.80} {again}.")
                left.remove(name)
                values[np.ix_(rows[name], range(len(tags)))] = _row(said, places, len(tags))
    except _DAMAGE as error:
        raise DataError(f"{str(path)!r} is of another form: {error!r:.120}.") from error
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error
    if left:
        raise DataError(
            f"{str(path)!r} has no prediction for {min(left)!r:.80}; {len(left)} of {len(rows)} "
            "pictures are missing: every one needs a line, even without tags."
        )
    return values


def _row(said: Any, places: dict[str, list[int]], count: int) -> Floats:
    if isinstance(said, list):
        return np.array(said, np.float64)
    row = np.zeros(count)
    for tag, value in said.items():
        if tag not in places:
            raise DataError(f"{tag!r:.60} is not in the list of tags.")
        row[places[tag]] = float(value)
    return row


def _read_decisions(file: Any, tags: Sequence[str]) -> Iterator[tuple[int, str, dict[str, float]]]:
    for number, line in enumerate(file, 1):
        name, *said = (part.strip() for part in line.split(","))
        if name:
            yield number, name, {tag: 1.0 for tag in said if tag}


def _read_lines(file: Any, tags: Sequence[str]) -> Iterator[tuple[int, str, dict[str, float]]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            record = json.loads(line)
            yield number, record["image"], dict(record["tags"])


def _read_table(file: Any, tags: Sequence[str]) -> Iterator[tuple[int, str, list[float]]]:
    reader = csv.reader(file)
    head = next(reader, [])
    if head != ["image", *tags]:
        raise DataError("the first line must be 'image' and all tags in the data set's order.")
    for row in reader:
        if row:
            if len(row) != len(head):
                raise DataError(f"line {reader.line_num} has {len(row)} columns, not {len(head)}.")
            yield reader.line_num, row[0], [float(value) for value in row[1:]]


def _read_safetensors(path: Path) -> Floats:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} is no file of tensors: {error}.") from error
    if "probabilities" in tensors:
        return tensors["probabilities"].astype(np.float64)
    if "logits" in tensors:
        logits = tensors["logits"].astype(np.float64)
        return 0.5 * (1 + np.tanh(0.5 * logits))  # the sigmoid, which overflows nowhere so
    raise DataError(
        f"{str(path)!r} must have the tensor 'probabilities' or 'logits', not "
        f"{', '.join(sorted(tensors)) or 'none'}."
    )


def _read_pth(path: Path) -> Floats:
    import pickle

    import torch

    try:
        tensor = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, ValueError, EOFError) as error:
        raise DataError(f"{str(path)!r} cannot be read as a tensor: {error!s:.120}") from error
    if not isinstance(tensor, torch.Tensor):
        raise DataError(f"{str(path)!r} must hold one tensor, not {type(tensor).__name__}.")
    return np.asarray(tensor.double().numpy())


_NAMED: dict[str, Callable[[Any, Sequence[str]], Iterator[tuple[int, str, Any]]]] = {
    ".txt": _read_decisions,
    ".jsonl": _read_lines,
    ".csv": _read_table,
}
_ORDERED: dict[str, Callable[[Path], Floats]] = {
    ".safetensors": _read_safetensors,
    ".pth": _read_pth,
}
