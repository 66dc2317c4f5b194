"""Sizes of a tagging model, as plain numbers that fit into a JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from lisa.errors import CheckpointError

Kind: TypeAlias = Literal["recognize-anything", "recognize-anything-plus", "tag2text", "fixed-list"]
MODEL_TYPE = "lisa-tagging"


@dataclass(frozen=True)
class SwinSizes:
    """Sizes of a Swin transformer that encodes the picture.

    Attributes:
        image_size: Side of the square that it sees, in pixels.
        window: Side of an attention window, in grid places.
        width: Channels of the first stage; each further stage has twice as many.
        depths: Blocks of each stage.
        heads: Attention heads of each stage.
    """

    image_size: int
    window: int
    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]

    kind: ClassVar[str] = "swin"

    @property
    def output_width(self) -> int:
        """Channels of the last stage."""
        return int(self.width * 2 ** (len(self.depths) - 1))


@dataclass(frozen=True)
class TrunkSizes:
    """Sizes of an encoder on the vision tower of a LISA model, whose weights are not stored again.

    Attributes:
        weights_of: The LISA model whose tower it is: "lisa-nano", a hub id, or a folder.
        architecture: Name of the tower in timm.
        image_size: Side of the frame that it sees, in pixels.
        stages: Which of its feature maps are read, fine to coarse.
        channels: Of these maps.
        grid_side: Side of the grid on which they are joined.
        output_width: Channels of the result.
    """

    weights_of: str
    architecture: str
    image_size: int
    stages: tuple[int, ...]
    channels: tuple[int, ...]
    grid_side: int
    output_width: int

    kind: ClassVar[str] = "trunk"


EncoderSizes: TypeAlias = SwinSizes | TrunkSizes
_ENCODERS: dict[str, type[SwinSizes] | type[TrunkSizes]] = {
    sizes.kind: sizes for sizes in (SwinSizes, TrunkSizes)
}


@dataclass(frozen=True)
class TextSizes:
    """Sizes of the two text models that write captions.

    Attributes:
        vocabulary: Tokens, the two marks for tags and captions included.
        layers: Of each of the two models.
        heads: Attention heads of a layer.
        positions: Longest text in tokens.
    """

    vocabulary: int
    layers: int
    heads: int
    positions: int


@dataclass(frozen=True)
class TaggingConfig:
    """Sizes of a tagging model.

    Attributes:
        kind: Which of the published systems it is, or "fixed-list": Tag2Text's way to tag, for
            lists of one's own.
        encoder: Of the picture.
        num_tags: Tags that it was trained with.
        texts_per_tag: Text embeddings that stand for one tag.
        label_width: Channels of a tag's embedding.
        token_width: Channels of the image tokens that the query decoder reads.
        hidden: Channels of the query decoder, and of the text models.
        intermediate: Channels inside its feed-forward parts, and of those of the text models.
        layers: Layers of the query decoder.
        heads: Attention heads of such a layer.
        text: The text models; None if the model only tags.
    """

    kind: Kind
    encoder: EncoderSizes
    num_tags: int
    texts_per_tag: int
    label_width: int
    token_width: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    text: TextSizes | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns what `from_dict` reads, made of what JSON can hold."""
        values = asdict(self)
        values["encoder"] = {"kind": self.encoder.kind, **values["encoder"]}
        return {"model_type": MODEL_TYPE, **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TaggingConfig:
        """Reads what `to_dict` wrote.

        Raises:
            CheckpointError: If fields are missing, unknown or of another type.
        """
        try:
            fields = {name: value for name, value in values.items() if name != "model_type"}
            text = fields.pop("text", None)
            config = cls(
                **{**fields, "encoder": _read_encoder(fields["encoder"])},
                text=None if text is None else TextSizes(**text),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"the sizes of the tagger are not written as this version reads them ({error}): "
                "save the model again."
            ) from error
        if config.kind not in get_args(Kind):
            raise CheckpointError(
                f"the tagger is of the kind {config.kind!r}: known are {', '.join(get_args(Kind))}."
            )
        return config


def _read_encoder(values: Mapping[str, Any]) -> EncoderSizes:
    sizes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list | tuple) else value
        for name, value in values.items()
    }
    kind = sizes.pop("kind")
    if kind not in _ENCODERS:
        raise CheckpointError(
            f"the tagger has the encoder {kind!r}: known are {', '.join(_ENCODERS)}."
        )
    return _ENCODERS[kind](**sizes)
