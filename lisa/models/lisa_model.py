"""The LISA model: a backbone that answers, and a segmenter that draws what the answer points at.

Training (`forward`) and use (`generate`) end in the same `decode_masks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from lisa.devices import pictures_at_once
from lisa.errors import ConfigError
from lisa.models import generation
from lisa.models.backbone import (
    PictureTokens,
    additive_mask,
    image_tokens_from_pixels,
    image_tokens_from_states,
    last_states,
    vision_tower_states,
)
from lisa.models.language_inputs import deep_features, language_inputs, picture_of_row
from lisa.models.losses import loss_sums
from lisa.models.mask_logits import MaskLogits
from lisa.models.outputs import (
    DecodedMasks,
    EncodedImage,
    GenerateOutput,
    LisaOutput,
    pair_masks,
)
from lisa.models.parts import LisaParts
from lisa.models.prompt_lookup import LOOKUP_TOKENS
from lisa.models.reading import Reading
from lisa.models.seg_rule import seg_offset, seg_source_positions
from lisa.models.segmenters import (
    MaskOutputs,
    MaskPrompts,
    PromptablePicture,
    SegmenterFeatures,
)
from lisa.tokens import IGNORE_INDEX
from lisa.types import ImageSize


class LisaModel(LisaParts):
    """Answers questions about pictures in text and masks; see :class:`LisaConfig` for its parts.

    Attributes:
        lookup_tokens: Most tokens that are guessed and read along in a pass; 0 is one by one.
        frames_at_once: Of a pass of the segmenter's encoder; None is what suits the device.
    """

    lookup_tokens = LOOKUP_TOKENS
    frames_at_once: int | None = None

    # --- Pictures ---------------------------------------------------------------------------------

    def encode_images(
        self,
        pixel_values: Tensor,
        sam_pixel_values: Tensor | None = None,
        *,
        original_sizes: Sequence[ImageSize],
        resized_sizes: Sequence[ImageSize],
        backbone_inputs: Mapping[str, Tensor] | None = None,
    ) -> list[EncodedImage]:
        """Encode B pictures for any number of turns.

        A segmenter that reads pixels waits until a `[SEG]` needs it; one that reads the vision
        tower shares the tower's single pass with the language model.

        Args:
            pixel_values: (B, ...) for the backbone, or the patches of all pictures behind each
                other, where `backbone_inputs` holds their grids.
            sam_pixel_values: (B, 3, S, S) for the segmenter, if it reads pixels.
            original_sizes: Of the pictures in pixels.
            resized_sizes: Of the pictures inside the segmenter's frame.
            backbone_inputs: More outputs of the backbone's image processor, each (B, ...).
        """
        features: list[SegmenterFeatures | None] = [None] * len(original_sizes)
        if self.segmenter.source == "vision_tower":
            stacked, joint = self.features_from_vision_states(
                vision_tower_states(self.backbone, pixel_values)
            )
            tokens = [PictureTokens(one) for one in stacked]
            features = [joint.select(torch.tensor([i])) for i in range(len(tokens))]
        else:
            tokens = image_tokens_from_pixels(self.backbone, pixel_values, backbone_inputs)
        frames = [None] * len(tokens) if sam_pixel_values is None else list(sam_pixel_values)
        return [
            EncodedImage(
                original,
                resized,
                picture.tokens,
                feature,
                frame,
                grid=picture.grid,
                deep_tokens=picture.deep,
            )
            for original, resized, picture, feature, frame in zip(
                original_sizes, resized_sizes, tokens, features, frames, strict=True
            )
        ]

    def features_from_vision_states(
        self, vision_states: Sequence[Tensor]
    ) -> tuple[Tensor, SegmenterFeatures]:
        """Compute, with gradient, what both readers take from the vision tower's hidden states.

        Args:
            vision_states: Each (B, ...).

        Returns:
            Image tokens (B, P, D), and the segmenter's features of the B pictures.
        """
        cast_states = tuple(state.to(self.segmenter_dtype) for state in vision_states)
        features = self.segmenter.encode(cast_states)
        return image_tokens_from_states(self.backbone, vision_states), features

    def encode_for_segmenter(self, image: EncodedImage) -> EncodedImage:
        """Return the picture with segmenter features, computing them if it has none yet.

        Raises:
            ConfigError: If it has neither features nor pixels to compute them from.
        """
        return self._encode_frames([image])[0]

    def _encode_frames(self, images: Sequence[EncodedImage]) -> list[EncodedImage]:
        """Do what `encode_for_segmenter` does for many pictures, `frames_at_once` in a pass."""
        waiting = [i for i, image in enumerate(images) if image.segmenter_features is None]
        ready = list(images)
        # One at a time, as on a CPU, a picture's features do not depend on the others.
        step = self.frames_at_once or pictures_at_once(self.segmenter_device)
        for group in (waiting[first : first + step] for first in range(0, len(waiting), step)):
            frames = [images[i].sam_pixel_values for i in group]
            if any(frame is None for frame in frames):
                raise ConfigError(
                    "The picture was encoded without sam_pixel_values, so it has no masks."
                )
            pixels = torch.stack(cast(list[Tensor], frames))
            features = self.segmenter.encode(pixels.to(self.segmenter_device, self.segmenter_dtype))
            for place, i in enumerate(group):
                feature = features.select(torch.tensor([place]))
                ready[i] = replace(images[i], segmenter_features=feature, sam_pixel_values=None)
        return ready

    def ready_images(self, images: Sequence[EncodedImage]) -> list[EncodedImage]:
        """Compute tokens and features of the pictures that carry only vision states."""
        waiting = [i for i, image in enumerate(images) if image.vision_states is not None]
        ready = list(images)
        if not waiting:
            return ready
        groups = zip(*(images[i].vision_states or () for i in waiting), strict=True)
        tokens, features = self.features_from_vision_states([torch.cat(group) for group in groups])
        for place, i in enumerate(waiting):
            feature = features.select(torch.tensor([place]))
            ready[i] = replace(images[i], image_tokens=tokens[place], segmenter_features=feature)
        return ready

    # --- Training and teacher forcing ---------------------------------------------------------

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        images: Sequence[EncodedImage] | None = None,
        pixel_values: Tensor | None = None,
        sam_pixel_values: Tensor | None = None,
        original_sizes: Sequence[ImageSize] = (),
        resized_sizes: Sequence[ImageSize] = (),
        image_index: Tensor | None = None,
        gt_masks: Sequence[Tensor] | None = None,
        position_ids: Tensor | None = None,
        supervised_logits_only: bool = False,
    ) -> LisaOutput:
        """Run N conversations about B pictures, teacher forced.

        Args:
            input_ids: (N, T), image placeholders expanded.
            attention_mask: (N, T), or (N, 1, T, T) bool (True is seen) or additive, for
                instance for conversations packed into one row.
            labels: (N, T) ids to learn, `IGNORE_INDEX` elsewhere.
            images: The pictures, encoded; or give the next four.
            pixel_values: As `encode_images` takes them.
            sam_pixel_values: As `encode_images` takes them.
            original_sizes: As `encode_images` takes them.
            resized_sizes: As `encode_images` takes them.
            image_index: (N,) long, the picture of each conversation; left out, conversation n shows
                picture n, or all show the only one.
            gt_masks: Per conversation (S_i, H, W) in [0, 1], at the size of its picture, one
                per `[SEG]`.
            position_ids: (N, T); needed with a packed mask, which backbones that count positions in
                three dimensions do not take.
            supervised_logits_only: Compute logits only at positions that predict a label.

        Raises:
            DataError: If the numbers of `[SEG]` tokens and masks differ.
            PromptError: If image placeholders and image tokens differ in number.
        """
        if images is None:
            images = self._encode_batch(
                pixel_values, sam_pixel_values, original_sizes, resized_sizes
            )
        ready = self.ready_images(images)
        index = picture_of_row(image_index, input_ids.shape[0], len(ready), input_ids.device)
        inputs = language_inputs(
            self, input_ids, attention_mask, [ready[i] for i in index.tolist()], position_ids
        )
        keep = None
        if supervised_logits_only and labels is not None:
            keep = (labels[:, 1:] != IGNORE_INDEX).any(dim=0).nonzero()[:, 0]
        with last_states(self.backbone) as steps, deep_features(self.backbone, inputs):
            logits = self.backbone(
                inputs_embeds=inputs.embeddings,
                attention_mask=None
                if attention_mask is None
                else additive_mask(attention_mask, inputs.embeddings.dtype),
                position_ids=inputs.position_ids,
                use_cache=False,
                logits_to_keep=0 if keep is None else keep,
            ).logits
        hidden = steps[-1]
        positions = seg_source_positions(input_ids, self.config.seg_token_id, self.config.seg_state)
        states = hidden[positions[:, 0], positions[:, 1]]
        masks, ready = self.decode_masks(states, index[positions[:, 0]], ready)
        rows = positions[:, 0].tolist()
        sums = None
        if labels is not None or gt_masks is not None:
            compared = None
            if gt_masks is not None:
                compared = pair_masks(
                    masks, rows, gt_masks, [ready[i].resized_size for i in index.tolist()]
                )
            sums = loss_sums(logits, keep, labels, compared, self.segmenter.image_size)
        sizes = tuple(ready[i].original_size for i in index.tolist())
        return LisaOutput(logits, keep, hidden, positions, states, masks, sizes, sums, tuple(ready))

    def _encode_batch(
        self,
        pixel_values: Tensor | None,
        sam_pixel_values: Tensor | None,
        original_sizes: Sequence[ImageSize],
        resized_sizes: Sequence[ImageSize],
    ) -> list[EncodedImage]:
        if pixel_values is None:
            raise ConfigError("The model got no picture: give it `images` or `pixel_values`.")
        return self.encode_images(
            pixel_values,
            sam_pixel_values,
            original_sizes=original_sizes,
            resized_sizes=resized_sizes,
        )

    # --- Use --------------------------------------------------------------------------------------

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        images: Sequence[EncodedImage] = (),
        image_index: Tensor | None = None,
        *,
        max_new_tokens: int = 512,
        eos_token_id: int | list[int] | None = None,
        reading: Reading | None = None,
        watch: generation.Watch | None = None,
        **options: Any,
    ) -> GenerateOutput:
        """Answer N prompts about B pictures, and decode the mask of every `[SEG]` in the answers.

        Args:
            input_ids: (N, T) prompts, image placeholders expanded, padded on either side.
            attention_mask: (N, T); left out, nothing is padding.
            images: The pictures, encoded.
            image_index: (N,) long; left out, as in `forward`.
            max_new_tokens: Most tokens of an answer.
            eos_token_id: Id or ids that end an answer; left out, the language model's.
            reading: Of an earlier turn of the only conversation: what it has in common with this
                one is not read again. It is brought up to date.
            watch: Gets the new tokens so far, (N, k), after each step; says of each row whether it
                goes on.
            **options: Further arguments of transformers' `generate`; greedy unless
                `do_sample=True`.

        Raises:
            ConfigError: If a reading is given with several conversations.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        text_config = self.config.backbone.get_text_config()
        stop = text_config.eos_token_id if eos_token_id is None else eos_token_id
        ready = self.ready_images(images)
        index = picture_of_row(image_index, input_ids.shape[0], len(ready), input_ids.device)
        prompt_ids, prompt_mask = generation.left_pad(input_ids, mask, pad_id=0)
        shown = [ready[i] for i in index.tolist()]
        inputs = language_inputs(self, prompt_ids, prompt_mask, shown)
        cache = None
        if reading is not None:
            cache = reading.begin(self.backbone, prompt_ids, shown, self.config.image_token_id)
        answers = generation.answer(
            self.backbone,
            inputs,
            prompt_mask,
            max_new_tokens=max_new_tokens,
            eos_token_id=stop,
            pad_token_id=0,
            options=options,
            lookup_tokens=self.lookup_tokens,
            cache=cache,
            watch=watch,
        )
        if reading is not None:
            reading.keep(answers.token_ids)
        positions, states = generation.seg_states(
            self.backbone,
            answers,
            inputs,
            prompt_mask,
            self.config.seg_token_id,
            seg_offset(self.config.seg_state),
        )
        masks, ready = self.decode_masks(states, index[positions[:, 0]], ready)
        return GenerateOutput(
            [ids[:n] for ids, n in zip(answers.token_ids, answers.lengths, strict=True)],
            positions,
            states,
            [p[:n] for p, n in zip(answers.probabilities, answers.lengths, strict=True)],
            masks,
            tuple(ready[i].original_size for i in index.tolist()),
            tuple(ready),
        )

    @torch.no_grad()
    def segment(
        self, image: EncodedImage, prompts: MaskPrompts, *, multimask: bool = False
    ) -> tuple[Tensor, MaskOutputs]:
        """Draw points, boxes or masks directly, without the language model.

        Args:
            image: One encoded picture.
            prompts: N prompts in coordinates of the segmenter's frame, on any device.
            multimask: Whether to give M = 3 alternatives a prompt instead of one.

        Returns:
            float32 logits (N, M, H, W) at the size of the picture, and the segmenter's own outputs.
        """
        picture = self.promptable(image)
        decoded = picture.decode(prompts, multimask=multimask)
        logits = picture.logits_at(decoded.logits.flatten(0, 1))
        return logits.unflatten(0, decoded.logits.shape[:2]), decoded

    @torch.no_grad()
    def promptable(self, image: EncodedImage) -> PromptablePicture:
        """Return an encoded picture as the segmenter sees it, ready for prompts."""
        ready = self.encode_for_segmenter(self.ready_images([image])[0])
        assert ready.segmenter_features is not None
        return PromptablePicture(
            self.segmenter, ready.segmenter_features, ready.original_size, ready.resized_size
        )

    # --- The one path from states to masks --------------------------------------------------------

    def decode_masks(
        self, states: Tensor, image_of_seg: Tensor, images: Sequence[EncodedImage]
    ) -> tuple[DecodedMasks | None, list[EncodedImage]]:
        """Turn S states (S, D) into masks; the segmenter runs only on pictures that are pointed at.

        Returns:
            The masks, None if S is 0; and the pictures with the features that were computed for it.
        """
        ready = list(images)
        if not len(states):
            return None, ready
        pictures, local = image_of_seg.unique(return_inverse=True)
        used = pictures.tolist()
        for i, image in zip(used, self._encode_frames([ready[i] for i in used]), strict=True):
            ready[i] = image
        device = self.segmenter_device
        features = SegmenterFeatures.concat(
            [cast(SegmenterFeatures, ready[i].segmenter_features) for i in used]
        ).to(device=device)
        local = local.to(device)
        inputs = states.to(device=device, dtype=self.segmenter_dtype)
        embeddings = self.mask_projection(inputs)
        prompts, auxiliary = self.prompt_head(inputs, embeddings, features, local)
        decoded = self.segmenter.decode(features, local, prompts)
        shown = [ready[used[i]] for i in local.tolist()]
        mask_logits = MaskLogits(
            decoded.logits[:, 0],
            self.segmenter.image_size,
            [picture.resized_size for picture in shown],
            [picture.original_size for picture in shown],
        )
        return DecodedMasks(embeddings, decoded.logits, decoded.iou, mask_logits, auxiliary), ready
