"""The configuration of a LISA model: which parts it has and what its weights depend on."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from lisa.errors import ConfigError

SegState = Literal["previous", "self"]


class LisaConfig(PreTrainedConfig):
    """Configuration of :class:`lisa.models.LisaModel`.

    Attributes:
        backbone_config: Configuration of any transformers image-text-to-text model; LLaVA if
            left out.
        segmenter_config: Dictionary form of a segmenter configuration; its `kind` names the class.
        segmenter_dtype: Number type of everything behind the language model (mask projection,
            prompt head, segmenter), such as "float32"; None means that of the backbone.
        image_token_id: Id that stands once for each image token in `input_ids`. It may lie
            outside the vocabulary (released LISA checkpoints have no such token): it is never
            looked up.
        seg_token_id: Id of `[SEG]`.
        reject_token_id: Id of `[REJ]`, which says "not in the picture"; None if the model has none.
        seg_state: Which hidden state becomes the mask prompt: "previous" is the one that predicts
            `[SEG]` (LISA), "self" the one of `[SEG]` itself (Sa2VA). Weights depend on it.
        projector: Name in `PROJECTORS`: what carries picture features into the language model.
        prompt_head: Name in `PROMPT_HEADS`: what turns a `[SEG]` state into prompts of the
            segmenter.
        prompt_head_dropout: Dropout probability at the end of the mask projection.
        trainable: Name in `TRAINABLE`: which parts learn.
        base_language_model: Where the language model's own weights come from if the checkpoint
            leaves them out; descriptive, read by `lisa.base_weights`.
    """

    model_type = "lisa"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "backbone_config": SubConfigSpec(config_class=AutoConfig, model_type="llava")
    }

    backbone_config: dict[str, Any] | PreTrainedConfig | None = None
    segmenter_config: dict[str, Any] | None = None
    segmenter_dtype: str | None = None
    image_token_id: int = -200
    seg_token_id: int = -1
    reject_token_id: int | None = None
    seg_state: str = "previous"
    projector: str = "backbone"
    prompt_head: str = "sparse"
    prompt_head_dropout: float = 0.0
    trainable: str = "lisa"
    base_language_model: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Check what can be checked without building anything.

        Raises:
            ConfigError: If `seg_state` is not one of the two rules.
        """
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        if self.seg_state not in ("previous", "self"):
            raise ConfigError(
                f'seg_state is {self.seg_state!r}; it must be "previous" (the state that predicts '
                '[SEG]) or "self" (the state of [SEG]): correct config.json.'
            )

    @property
    def backbone(self) -> PreTrainedConfig:
        """The backbone's configuration, as an object."""
        return cast(PreTrainedConfig, self.backbone_config)

    @property
    def language_width(self) -> int:
        """Width D of the language model."""
        return int(self.backbone.get_text_config().hidden_size)

    @property
    def vocabulary_size(self) -> int:
        """Rows of the language model's embedding table."""
        return int(self.backbone.get_text_config().vocab_size)

    @property
    def context_length(self) -> int:
        """Most positions, image tokens included, that the language model was made for."""
        return int(self.backbone.get_text_config().max_position_embeddings)
