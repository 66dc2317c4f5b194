"""Sizes of a relation model, and the predicates that it scores, as plain frozen data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from lisa.errors import CheckpointError, ConfigError
from lisa.relations.vocabulary import PREDICATES

_HEAD_WIDTH = 64
"""Width of an attention head in every BERT that was released."""


@dataclass(frozen=True)
class RelationConfig:
    """Sizes of :class:`lisa.relations.RelationModel`; defaults are those of Relate-Anything.

    Attributes:
        predicates: Names of the R predicates, in the order of their scores.
        feature_size: Width C of the mask tokens that it reads.
        hidden_size: Width of the transformer.
        num_heads: Attention heads; they divide `hidden_size`.
        intermediate_size: Hidden width of the transformer's MLPs.
        num_layers: Blocks of the transformer.
        class_size: Width in which a predicate compares subject and object.
        vocabulary_size: Rows of the word table, which released files hold and nothing reads.
        num_positions: Rows of the position table, of which row 1 alone is read.
        num_types: Rows of the type table, of which row 0 alone is read.
        geometry_size: Hidden width of the part that reads how the masks of a pair lie to each other
            (`lisa.relations.geometry`); 0 for no such part, as in released weights.
    """

    predicates: tuple[str, ...] = PREDICATES
    feature_size: int = 256
    hidden_size: int = 768
    num_heads: int = 12
    intermediate_size: int = 3072
    num_layers: int = 2
    class_size: int = 512
    vocabulary_size: int = 30522
    num_positions: int = 512
    num_types: int = 2
    geometry_size: int = 0

    def __post_init__(self) -> None:
        """Check the sizes, all at once."""
        faults = [
            f"{field.name} is {value!r}, which is not a whole number above zero"
            for field in fields(self)
            if field.name not in ("predicates", "geometry_size")
            and not (type(value := getattr(self, field.name)) is int and value > 0)
        ]
        if type(self.geometry_size) is not int or self.geometry_size < 0:
            faults.append(f"geometry_size is {self.geometry_size!r}, which is not 0 or more")
        if not faults and self.hidden_size % self.num_heads:
            faults.append(f"{self.num_heads} heads do not divide a width of {self.hidden_size}")
        if not faults and self.num_positions < 2:
            faults.append("num_positions is 1, and row 1 from 0 is read")
        if not self.predicates or len(set(self.predicates)) != len(self.predicates):
            faults.append("predicates must be one or more different names")
        if faults:
            raise ConfigError(f"The relation model cannot be built: {'; '.join(faults)}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values that JSON can hold."""
        return {**asdict(self), "predicates": list(self.predicates)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the configuration from what :meth:`to_dict` returned.

        Raises:
            ConfigError: If a key is unknown or a value cannot be.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(data) - known)
        predicates = data.get("predicates", ())
        if unknown or not _are_names(predicates):
            fault = f"unknown keys {', '.join(unknown)}" if unknown else "predicates are no names"
            raise ConfigError(
                f"The relation model's configuration cannot be read ({fault}): it has the keys "
                f"{', '.join(sorted(known))}."
            )
        given = {**data, "predicates": tuple(predicates)} if "predicates" in data else data
        return cls(**given)


def _are_names(value: object) -> bool:
    return isinstance(value, Sequence) and all(isinstance(one, str) for one in value)


def config_from_shapes(
    shapes: Mapping[str, Sequence[int]],
    predicates: Sequence[str] = PREDICATES,
    num_heads: int | None = None,
) -> RelationConfig:
    """Return the configuration of the model that weights in Relate-Anything's layout belong to.

    Args:
        shapes: Shape of each tensor by its released name.
        predicates: Names of the predicates; their number decides how the last layer is cut.
        num_heads: Attention heads, which shapes do not tell; None is one for 64 of width, as in
            every released BERT.

    Raises:
        CheckpointError: If a tensor that tells a size is missing, or the sizes cannot be.
    """
    hidden, features = _shape(shapes, "fc_input.0.weight")
    rows = _shape(shapes, "cls_sub.weight")[0]
    if rows % len(predicates):
        raise CheckpointError(
            f"The relation weights have {rows} rows in cls_sub, which {len(predicates)} predicates "
            "do not divide: give the predicates that they were trained for."
        )
    layers = {
        int(found[1])
        for name in shapes
        if (found := re.match(r"model\.encoder\.layer\.(\d+)\.", name))
    }
    embeddings = "model.embeddings"
    try:
        return RelationConfig(
            predicates=tuple(predicates),
            feature_size=features,
            hidden_size=hidden,
            num_heads=num_heads or max(1, hidden // _HEAD_WIDTH),
            intermediate_size=_shape(shapes, "model.encoder.layer.0.intermediate.dense.weight")[0],
            num_layers=max(layers) + 1,
            class_size=rows // len(predicates),
            vocabulary_size=_shape(shapes, f"{embeddings}.word_embeddings.weight")[0],
            num_positions=_shape(shapes, f"{embeddings}.position_embeddings.weight")[0],
            num_types=_shape(shapes, f"{embeddings}.token_type_embeddings.weight")[0],
        )
    except ConfigError as error:
        raise CheckpointError(f"The relation weights are of no known layout. {error}") from error


def _shape(shapes: Mapping[str, Sequence[int]], name: str) -> tuple[int, int]:
    shape = tuple(shapes.get(name, ()))
    if len(shape) != 2:
        raise CheckpointError(
            f"The relation weights lack the matrix {name!r}: give a file in Relate-Anything's "
            "layout, such as ram_epoch12.pth, or a folder that this project saved."
        )
    return shape[0], shape[1]
