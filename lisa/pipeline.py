"""The public API: a picture and a question in, an answer with masks out.

from lisa import LisaPipeline
pipeline = LisaPipeline.from_pretrained()
prediction = pipeline("photo.jpg", "What would I use to call for help?")
print(prediction.text, prediction.segments[0].box)
prediction = pipeline("photo.jpg", "And what is next to it?", conversation=prediction.conversation)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from lisa.base_weights import untrained_model
from lisa.devices import choose_placement
from lisa.hub import NANO, resolve
from lisa.images import ImageSource, open_image
from lisa.models import EncodedImage, LisaModel, Reading
from lisa.models.packed_weights import PackedMatrix, PlainMatrix
from lisa.models.packing import can_pack_weights, pack_large_weights, packing_pays
from lisa.models.region_prompts import region_prompts
from lisa.models.teacher_forcing import last_masks
from lisa.open_model import open_model
from lisa.processor import ImageInputs, LisaProcessor, check_settings, shown_image
from lisa.segments import answer_segments, segment_of
from lisa.tokenization import escape_conversation
from lisa.tokens import TOOL_CALL_END, TOOL_CALL_START
from lisa.types import Conversation, ImageSize, Prediction, Segment


class LisaPipeline:
    """Answers questions about pictures; holds a model and its processor, but no conversation."""

    def __init__(self, model: LisaModel, processor: LisaProcessor) -> None:
        """Put a model and its processor together.

        Raises:
            ConfigError: If they were not made for each other.
        """
        check_settings(processor.settings, model.config)
        self.model = model
        self.model.train(False)
        self.processor = processor
        # What a picture has gained since `encode`, so that a later turn need not run the
        # segmenter's encoder again.
        self._gained: WeakKeyDictionary[EncodedImage, EncodedImage] = WeakKeyDictionary()
        self._last_prompt: tuple[Conversation, ImageSize, list[int]] | None = None

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = NANO,
        device: str = "auto",
        dtype: str = "auto",
        segmenter_dtype: str | None = None,
        revision: str | None = None,
        offline: bool = False,
        template: str | None = None,
        vision_tower: str | Path | None = None,
        quantize: str | None = None,
        pack_weights: bool = True,
        for_one_answer: bool = False,
    ) -> LisaPipeline:
        """Load a model.

        Args:
            name_or_path: "lisa-nano" (comes with the package), a hub id, or a folder; published
                LISA layouts and our own.
            device: "auto", "cpu", "cuda", "cuda:1", "mps".
            dtype: "auto", "float32", "bfloat16", "float16".
            segmenter_dtype: The same for what is behind the language model; None follows `dtype`.
            revision: Branch, tag or commit on the hub.
            offline: Never ask the network.
            template: Conversation template instead of the default one.
            vision_tower: Folder or hub id of the CLIP that published layouts leave out.
            quantize: "4bit" or "8bit" for the language model of a published layout; None for
                neither.
            pack_weights: Whether to bring the language model's weights into a faster order where
                that pays, which is on x86 CPUs. Of a model that is stored in float32 nothing but
                these weights is in half precision then, whichever was asked for. It can neither
                learn nor be saved.
            for_one_answer: Leave those weights where they are, which takes more time for each
                answer and none for loading.

        Raises:
            CheckpointError: If weights cannot be found, read, or do not fit.
            DeviceError: If device or number type do not exist here.
        """
        placement = choose_placement(device, dtype, segmenter_dtype)
        packs = pack_weights and packing_pays(placement.device, placement.dtype)
        # Packed products round what they multiply; all else may as well stay as it is stored.
        wide = choose_placement(device, "float32", segmenter_dtype) if packs else None
        model, processor = open_model(
            name_or_path,
            placement,
            of_float32=wide,
            revision=revision,
            offline=offline,
            template=template,
            vision_tower=vision_tower,
            quantize=quantize,
        )
        if packs and can_pack_weights(model.backbone, placement.dtype):
            kind = PlainMatrix if for_one_answer else PackedMatrix
            pack_large_weights(model.backbone, placement.dtype, kind)
        return cls(model, processor)

    @classmethod
    def untrained(cls, seed: int = 0, device: str = "auto") -> LisaPipeline:
        """Build `lisa-nano` as it was before training: a baseline to compare it with.

        Args:
            seed: Of the fresh weights.
            device: As `from_pretrained` takes it.
        """
        folder = resolve(NANO)
        model = untrained_model(folder, seed)
        torch.nn.Module.to(model, choose_placement(device, "float32", None).device)
        return cls(model, LisaProcessor.from_pretrained(folder))

    # --- Pictures ---------------------------------------------------------------------------------

    def encode(self, image: ImageSource) -> EncodedImage:
        """Encode a picture once; pass the result instead of the picture in every turn about it.

        Raises:
            ImageError: If the picture cannot be read.
        """
        return self.encode_all([image])[0]

    def encode_all(self, images: Sequence[ImageSource]) -> list[EncodedImage]:
        """Encode several pictures, in order, in one batch.

        Raises:
            ImageError: If a picture cannot be read.
        """
        return self.encode_inputs(
            self.processor.encode_images([open_image(image) for image in images])
        )

    def encode_inputs(self, inputs: ImageInputs) -> list[EncodedImage]:
        """Encode pictures that the processor has prepared, in one batch."""
        with torch.no_grad():
            encoded: list[EncodedImage] = self.model.encode_images(
                inputs.pixel_values,
                inputs.sam_pixel_values,
                original_sizes=inputs.original_sizes,
                resized_sizes=inputs.resized_sizes,
                backbone_inputs=inputs.backbone_inputs,
            )
        return encoded

    # --- Questions --------------------------------------------------------------------------------

    def __call__(
        self,
        image: ImageSource | EncodedImage,
        question: str,
        *,
        conversation: Conversation | None = None,
        max_new_tokens: int = 512,
    ) -> Prediction:
        """Ask about a picture.

        Args:
            image: The picture, or what `encode` made of it.
            question: Plain text; control tokens in it are read as text.
            conversation: `Prediction.conversation` of an earlier turn about the same picture.
            max_new_tokens: Most tokens of the answer.

        Raises:
            ImageError: If the picture cannot be read.
            PromptError: If the question is empty or the conversation too long.
        """
        asked = (
            Conversation().ask(question, image_index=0)
            if conversation is None
            else conversation.ask(question)
        )
        shown = image if isinstance(image, EncodedImage) else self.encode(image)
        return self.answer([shown], [asked], [0], max_new_tokens=max_new_tokens)[0]

    def answer(
        self,
        images: Sequence[EncodedImage],
        conversations: Sequence[Conversation],
        image_index: Sequence[int] | None = None,
        *,
        max_new_tokens: int = 512,
        min_new_tokens: int = 0,
        reading: Reading | None = None,
        watch: Callable[[int, str], bool] | None = None,
    ) -> list[Prediction]:
        """Answer N conversations about B pictures in one batch.

        Args:
            images: Encoded pictures.
            conversations: Each ends with a question.
            image_index: Picture of each conversation; left out, the one that its message shows.
            max_new_tokens: Most tokens of an answer.
            min_new_tokens: Fewest, for measurements of speed.
            reading: Of an earlier turn of the only conversation, which is not read again then.
            watch: Gets a row and its answer so far after each token; False stops the row.

        Raises:
            ConfigError: If a reading is given with several conversations.
            PromptError: If a conversation is empty, too long, or shows no picture.
        """
        index = [shown_image(c) for c in conversations] if image_index is None else image_index
        sizes = [images[i].original_size for i in index]
        rows = [self._prompt(c, size) for c, size in zip(conversations, sizes, strict=True)]
        input_ids, mask = self.processor.pad(rows)
        room = self.processor.settings.context_length - input_ids.shape[1]
        device = self.model.device
        output = self.model.generate(
            input_ids.to(device),
            mask.to(device),
            [self._gained.get(image, image) for image in images],
            torch.tensor(list(index)),
            max_new_tokens=min(max_new_tokens, room),
            min_new_tokens=min(min_new_tokens, room),
            eos_token_id=self.processor.tokenizer.eos_token_id,
            reading=reading,
            watch=None if watch is None else self._watch_text(watch),
        )
        self._keep(images, output.images)
        predictions = []
        for row, conversation in enumerate(conversations):
            text, segments = answer_segments(
                self.processor, self.model.config, output, row, sizes[row], index[row]
            )
            spoken = len(output.token_ids[row])
            predictions.append(Prediction(text, segments, conversation.answer(text), spoken))
        return predictions

    def _watch_text(self, watch: Callable[[int, str], bool]) -> Callable[[Tensor], list[bool]]:
        """Show somebody the text of new tokens, without a letter of which only a part is there."""
        end = self.processor.tokenizer.eos_token_id

        def goes_on(row: int, ids: list[int]) -> bool:
            if end in ids:
                return True  # it has ended by itself
            return watch(row, self.processor.decode_answer(ids).rstrip("\N{REPLACEMENT CHARACTER}"))

        return lambda token_ids: [goes_on(i, ids) for i, ids in enumerate(token_ids.tolist())]

    def masks_of_answers(
        self,
        images: Sequence[EncodedImage],
        conversations: Sequence[Conversation],
        image_index: Sequence[int],
    ) -> list[Segment]:
        """Give N answers to the model instead of asking for them, and draw what each shows.

        Args:
            images: B encoded pictures.
            conversations: Each ends with an answer that holds a `[SEG]`.
            image_index: Picture of each conversation.

        Returns:
            Per conversation the segment of its last `[SEG]`, as if the model were sure to say it.

        Raises:
            PromptError: If a conversation is too long.
        """
        rows = [
            self.processor.encode_conversation(self._escaped(c), False, images[i].original_size)
            for c, i in zip(conversations, image_index, strict=True)
        ]
        input_ids, mask = self.processor.pad(rows)
        device = self.model.device
        logits, gained = last_masks(
            self.model,
            input_ids.to(device),
            mask.to(device),
            [self._gained.get(image, image) for image in images],
            torch.tensor(list(image_index), device=device),
        )
        self._keep(images, gained)
        return [
            segment_of(one, 1.0, image_index=i) for one, i in zip(logits, image_index, strict=True)
        ]

    def prompt_length(self, conversation: Conversation, size: ImageSize) -> int:
        """Return how many tokens the model reads of a conversation about a picture of that size.

        Raises:
            ImageError: If the model does not take a picture of such a shape.
            PromptError: If the conversation is empty or too long.
        """
        return len(self._prompt(conversation, size))

    def kept_bytes(self, size: ImageSize) -> int:
        """Return about how much memory `encode` takes for a picture, its later gains included."""
        return self.model.kept_bytes(self.processor.count_image_tokens(size))

    def segment_region(
        self,
        image: ImageSource | EncodedImage,
        *,
        points: Sequence[tuple[float, float]] | None = None,
        point_labels: Sequence[int] | None = None,
        boxes: Sequence[tuple[float, float, float, float]] | None = None,
        masks: Sequence[np.ndarray] | None = None,
        apart: bool = False,
    ) -> list[Segment]:
        """Segment what points, boxes or masks show, without the language model.

        Args:
            image: The picture, or what `encode` made of it.
            points: (x, y) in pixels of the picture; all of them show one thing, unless `apart`.
            point_labels: 1 for a point on the thing, 0 for one beside it; left out, all are on it.
            boxes: xyxy in pixels of the picture; each shows one thing. Not together with points.
            masks: bool (H, W), rough masks of one thing each, alone or one for each box.
            apart: Each point shows a thing of its own.

        Raises:
            PromptError: If nothing is given, or the parts do not fit together.
        """
        shown = image if isinstance(image, EncodedImage) else self.encode(image)
        shown = self._gained.get(shown, shown)
        prompts = region_prompts(
            self.processor.transform,
            shown.original_size,
            points=points,
            point_labels=point_labels,
            boxes=boxes,
            masks=masks,
            apart=apart,
            mask_side=4 * self.model.segmenter.grid[0],
        )
        logits, outputs = self.model.segment(shown, prompts)
        return [
            segment_of(one[0], float(iou[0].clamp(0, 1)))
            for one, iou in zip(logits, outputs.iou.float(), strict=True)
        ]

    # --- Parts ------------------------------------------------------------------------------------

    def _keep(self, images: Sequence[EncodedImage], gained: Sequence[EncodedImage]) -> None:
        """Remember what pictures have gained."""
        for given, more in zip(images, gained, strict=True):
            self._gained[given] = more

    def _prompt(self, conversation: Conversation, size: ImageSize) -> list[int]:
        """Return the ids that the model reads. Those that were just counted are there already."""
        last = self._last_prompt
        if last is None or last[0] is not conversation or last[1] != size:
            ids = self.processor.encode_conversation(self._escaped(conversation), size=size)
            self._last_prompt = last = (conversation, size, ids)
        return last[2]

    def _escaped(self, conversation: Conversation) -> Conversation:
        """Break control tokens in what people wrote and tools found; answers keep theirs."""
        marks = (TOOL_CALL_START, TOOL_CALL_END)
        return escape_conversation(conversation, (*self.processor.tokenizer.control_tokens, *marks))
