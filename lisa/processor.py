"""One door into the model: pictures and conversations become its inputs, its ids become text.

The processor knows the template, the tokenizer, and how both encoders want their pixels. It writes
every image token into the sequence, so that positions are explicit. The way back from logits to
masks is in `lisa.transforms`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, cast

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoProcessor
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils.hub import PushToHubMixin

from lisa.errors import CheckpointError, ConfigError, ImageError, PromptError
from lisa.models.config import LisaConfig
from lisa.prompts import (
    SupervisedIds,
    encode_prompt,
    encode_training,
    get_template,
    image_placeholder,
)
from lisa.tokenization import TextTokenizer, load_tokenizer
from lisa.tokens import IGNORE_INDEX, REJECT_TOKEN, SEG_TOKEN
from lisa.transforms import SegmenterTransform
from lisa.types import Conversation, ImagePart, ImageSize

PROCESSOR_FILE = "processor_config.json"
_GLUED = re.compile(rf"(?<=\w)(?={re.escape(SEG_TOKEN)}|{re.escape(REJECT_TOKEN)})")


@dataclass(frozen=True)
class ProcessorSettings:
    """What a checkpoint's weights ask of its inputs, apart from tokenizer and pixels.

    Attributes:
        template: Name of the conversation template.
        image_tokens: Image tokens P of one picture; None if they vary with its size.
        image_token_id: Id that stands for each of them.
        context_length: Most positions of a sequence, image tokens included.
        tools: Names of the tools that the weights were trained to call.
    """

    template: str
    image_tokens: int | None
    image_token_id: int
    context_length: int
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ImageInputs:
    """B pictures for `LisaModel.encode_images`.

    Attributes:
        pixel_values: (B, ...) for the backbone; or the patches of all pictures behind each other,
            where `backbone_inputs` holds their grids.
        sam_pixel_values: (B, 3, S, S) for the segmenter.
        original_sizes: Of the pictures in pixels.
        resized_sizes: Of the pictures inside the segmenter's frame.
        backbone_inputs: More outputs of the backbone's image processor, each (B, ...).
    """

    pixel_values: Tensor
    sam_pixel_values: Tensor
    original_sizes: tuple[ImageSize, ...]
    resized_sizes: tuple[ImageSize, ...]
    backbone_inputs: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """N conversations about B pictures.

    Attributes:
        input_ids: (N, T), padded on the left; image placeholders expanded.
        attention_mask: (N, T) bool.
        image_index: (N,) long: the picture of each conversation.
        images: The pictures.
    """

    input_ids: Tensor
    attention_mask: Tensor
    image_index: Tensor
    images: ImageInputs


class LisaProcessor(PushToHubMixin):
    """Prepares inputs of a :class:`lisa.models.LisaModel` and reads its answers."""

    def __init__(
        self,
        tokenizer: TextTokenizer,
        transform: SegmenterTransform,
        settings: ProcessorSettings,
        image_processor: BaseImageProcessor | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            tokenizer: Text to ids and back.
            transform: The segmenter's view of a picture.
            settings: What the weights ask for.
            image_processor: The backbone's view of a picture; None shows it the segmenter's.

        Raises:
            ConfigError: If the template is unknown.
        """
        self.tokenizer = tokenizer
        self.transform = transform
        self.settings = settings
        self.image_processor = image_processor
        self._template = get_template(settings.template, tokenizer)

    # --- Loading and saving -------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, folder: str | Path, template: str | None = None, **_: Any) -> Self:
        """Load a folder that `save_pretrained` wrote.

        Args:
            folder: Local folder; a hub id goes through `lisa.hub.resolve` first.
            template: Use another conversation template than the stored one.
            **_: Options of transformers' Auto classes that do not concern local files.

        Raises:
            CheckpointError: If files are missing or damaged.
            ConfigError: If the template is unknown.
        """
        folder = Path(folder)
        try:
            stored = json.loads((folder / PROCESSOR_FILE).read_text(encoding="utf-8"))
            settings = {**stored["settings"], **({"template": template} if template else {})}
            settings["tools"] = tuple(settings.get("tools", ()))
            frame = stored["frame"]
            transform = SegmenterTransform(
                int(frame["image_size"]), tuple(frame["mean"]), tuple(frame["std"])
            )
            parts = (transform, ProcessorSettings(**settings))
            shared = bool(stored["backbone_sees_frame"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{folder / PROCESSOR_FILE} is missing or damaged ({error}): use a folder that "
                "`save_pretrained` or `lisa convert` wrote."
            ) from error
        images = None
        if not shared:
            # Pillow's resampling is the one that released weights were trained with.
            images = AutoImageProcessor.from_pretrained(str(folder), backend="pil")
        return cls(load_tokenizer(folder), *parts, images)

    def save_pretrained(self, folder: str | Path, **_: Any) -> None:
        """Write tokenizer, image processor and `processor_config.json` into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder)
        if self.image_processor is not None:
            self.image_processor.save_pretrained(str(folder))
        stored = {
            "processor_class": type(self).__name__,
            "settings": asdict(self.settings),
            "frame": asdict(self.transform),
            "backbone_sees_frame": self.image_processor is None,
        }
        text = json.dumps(stored, indent=2) + "\n"
        (folder / PROCESSOR_FILE).write_text(text, encoding="utf-8")

    # --- Forth --------------------------------------------------------------------------------

    def __call__(
        self,
        images: Sequence[Image.Image],
        conversations: Sequence[Conversation],
        image_index: Sequence[int] | None = None,
        add_generation_prompt: bool = True,
    ) -> ModelInputs:
        """Prepare N conversations about B pictures.

        Args:
            images: RGB pictures.
            conversations: Control tokens in their texts are honoured.
            image_index: Picture of each conversation; left out, the one that its message shows.
            add_generation_prompt: End with the words after which the assistant begins to answer.

        Raises:
            PromptError: If a conversation is empty, too long, or shows no or several pictures.
        """
        index = [shown_image(c) for c in conversations] if image_index is None else image_index
        wrong = [i for i in index if not 0 <= i < len(images)]
        if wrong:
            raise PromptError(
                f"A conversation shows picture {wrong[0]} of {len(images)}: count from 0."
            )
        sizes = [ImageSize(images[i].height, images[i].width) for i in index]
        rows = [
            self.encode_conversation(c, add_generation_prompt, size)
            for c, size in zip(conversations, sizes, strict=True)
        ]
        ids, mask = self.pad(rows)
        return ModelInputs(
            ids, mask, torch.tensor(list(index), dtype=torch.long), self.encode_images(images)
        )

    def encode_images(self, images: Sequence[Image.Image]) -> ImageInputs:
        """Prepare the pixels of B RGB pictures.

        Raises:
            ImageError: If the backbone does not take a picture of such a shape.
        """
        sizes = tuple(ImageSize(image.height, image.width) for image in images)
        for size in sizes:
            self.count_image_tokens(size)
        framed = [self.transform(image) for image in images]
        frames = torch.stack([frame for frame, _ in framed])
        pixels: Tensor = frames
        extra: dict[str, Tensor] = {}
        if self.image_processor is not None:
            outputs = dict(self.image_processor(list(images), return_tensors="pt"))
            pixels = outputs.pop("pixel_values")
            extra = {name: value for name, value in outputs.items() if isinstance(value, Tensor)}
        return ImageInputs(
            pixels,
            frames,
            sizes,
            tuple(size for _, size in framed),
            extra,
        )

    def count_image_tokens(self, size: ImageSize | None) -> int:
        """Return how many image tokens P a picture has.

        Args:
            size: Of the picture; may be left out where all pictures have the same number.

        Raises:
            ImageError: If the backbone does not take a picture of such a shape.
            PromptError: If the size is left out and needed.
        """
        if self.settings.image_tokens is not None:
            return self.settings.image_tokens
        if size is None:
            raise PromptError(
                "A picture's number of image tokens varies with its size: give the size too."
            )
        images = cast(Any, self.image_processor)
        try:
            patches = images.get_number_of_image_patches(*size, {})
        except ValueError as error:
            raise ImageError(
                f"The model cannot look at a picture of {size.height} x {size.width} pixels "
                f"({error}): crop it."
            ) from error
        return int(patches) // int(images.merge_size) ** 2

    def encode_conversation(
        self,
        conversation: Conversation,
        add_generation_prompt: bool = True,
        size: ImageSize | None = None,
    ) -> list[int]:
        """Return the ids of a conversation, with P image tokens for each picture that it shows.

        Args:
            conversation: Control tokens in its texts are honoured.
            add_generation_prompt: End with the words after which the assistant begins to answer.
            size: Of the picture, as `count_image_tokens` takes it.

        Raises:
            PromptError: If it is empty or longer than the model's context.
        """
        asked = next((m for m in reversed(conversation.messages) if m.role == "user"), None)
        if asked is None or not asked.text.strip():
            raise PromptError(
                "The question is empty: write what you want to know about the picture."
            )
        placeholder = image_placeholder(self.tokenizer)
        text = self._template.render(conversation, placeholder, add_generation_prompt)
        token, add_bos = self.settings.image_token_id, not self._template.writes_begin
        ids = encode_prompt(self.tokenizer, text, token, add_bos)
        ids = self._expand(ids, ids, self.count_image_tokens(size), token)
        limit = self.settings.context_length
        if len(ids) >= limit:
            raise PromptError(
                f"The conversation has {len(ids)} tokens with its picture, and the model reads at "
                f"most {limit - 1}: ask a shorter question or begin a new conversation."
            )
        return ids

    def encode_example(
        self,
        conversation: Conversation,
        max_tokens: int | None = None,
        size: ImageSize | None = None,
    ) -> SupervisedIds:
        """Return a whole conversation as ids and labels to learn from, image tokens expanded.

        Args:
            conversation: Ends with an answer.
            max_tokens: Cut behind this many ids, a picture counted as one; None keeps all.
            size: Of the picture, as `count_image_tokens` takes it.
        """
        token, count = self.settings.image_token_id, self.count_image_tokens(size)
        example = encode_training(self.tokenizer, self._template, conversation, token, max_tokens)
        return SupervisedIds(
            self._expand(example.input_ids, example.input_ids, count, token),
            self._expand(example.input_ids, example.labels, count, IGNORE_INDEX),
        )

    def pad(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Pad id lists on the left: ids and bool mask, both (N, T)."""
        width = max(map(len, rows))
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows])
        mask = torch.tensor([[False] * (width - len(row)) + [True] * len(row) for row in rows])
        return ids, mask

    def _expand(
        self, ids: Sequence[int], values: Sequence[int], count: int, filling: int
    ) -> list[int]:
        """Return the values with `count` times `filling` where `ids` show a picture."""
        token = self.settings.image_token_id
        return [
            one
            for idx, value in zip(ids, values, strict=True)
            for one in ([filling] * count if idx == token else [value])
        ]

    # --- Back ---------------------------------------------------------------------------------

    def decode_answer(self, token_ids: Sequence[int]) -> str:
        """Return the text of generated ids, `[SEG]` included, without what stands around it."""
        around = {
            self.tokenizer.bos_token_id,
            self.tokenizer.eos_token_id,
            self.tokenizer.pad_token_id,
        }
        text = self.tokenizer.decode([i for i in token_ids if i not in around]).strip()
        # Some vocabularies count the blank before a mask token as part of it and do not write it.
        return _GLUED.sub(" ", text)


def shown_image(conversation: Conversation) -> int:
    """Return which picture a conversation shows.

    Raises:
        PromptError: If it shows none, or several different ones.
    """
    shown = {
        part.image_index
        for message in conversation.messages
        for part in message.parts
        if isinstance(part, ImagePart)
    }
    if len(shown) != 1:
        raise PromptError(
            f"The conversation shows {len(shown)} pictures, and the model looks at exactly one: "
            "begin with `Conversation().ask(question, image_index=0)`."
        )
    return shown.pop()


def check_settings(settings: ProcessorSettings, config: LisaConfig) -> None:
    """Accept a processor only for the model that it was made for.

    Raises:
        ConfigError: If their image token ids differ.
    """
    if settings.image_token_id != config.image_token_id:
        raise ConfigError(
            f"The processor writes image token {settings.image_token_id}, the model reads "
            f"{config.image_token_id}: use the processor that was saved with the model."
        )


AutoProcessor.register(LisaConfig, LisaProcessor)
