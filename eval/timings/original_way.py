"""How LISA's released code answers, with our modules: the baseline of the measurements.

Its language model keeps no keys and values, so that every new token reads the whole conversation
again, and its picture, too: the vision tower runs once a token. Logits are computed at every
position, attention is written out. The segmenter runs after every answer, in float32 and picture
by picture, whether or not anything is pointed at. The next turn starts from nothing.
"""

from __future__ import annotations

from functools import partial

import torch
from PIL import Image
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from lisa.models import EncodedImage
from lisa.models.backbone import last_states
from lisa.models.language_inputs import deep_features, language_inputs
from lisa.models.seg_rule import seg_source_positions
from lisa.models.segmenters import SamConfig
from lisa.pipeline import LisaPipeline
from lisa.types import Conversation


class OriginalWay:
    """Answers questions about pictures one by one."""

    def __init__(self, pipeline: LisaPipeline) -> None:
        """Take a model.

        Args:
            pipeline: Loaded with `pack_weights=False`; its attention, and SAM's image encoder, are
                replaced in place.
        """
        self._model, self._processor = pipeline.model, pipeline.processor
        self._model.backbone.set_attn_implementation("eager")
        segmenter = self._model.segmenter
        if isinstance(segmenter.config, SamConfig):
            segmenter.image_encoder = original_image_encoder(
                segmenter.config, segmenter.get_submodule("image_encoder")
            )
        for part in (self._model.mask_projection, self._model.prompt_head, self._model.segmenter):
            part.float()

    @torch.no_grad()
    def answer(
        self, image: Image.Image, conversation: Conversation, new_tokens: int
    ) -> tuple[list[int], tuple[Tensor, ...]]:
        """Answer the question that a conversation ends with.

        Args:
            image: The picture.
            conversation: All turns so far.
            new_tokens: Exactly so many are said; at least 1.

        Returns:
            Their ids, and logits (H, W) of the masks, at the size of the picture.
        """
        model = self._model
        inputs = self._processor.encode_images([image])
        begun = self._processor.encode_conversation(conversation, size=inputs.original_sizes[0])
        ids = torch.tensor([begun], device=model.device)
        end = self._processor.tokenizer.eos_token_id
        hidden, pictures = torch.empty(0), []
        for _ in range(new_tokens):
            # A segmenter that reads pixels only notes them here, and runs after the answer.
            pictures = model.encode_images(
                inputs.pixel_values,
                inputs.sam_pixel_values,
                original_sizes=inputs.original_sizes,
                resized_sizes=inputs.resized_sizes,
                backbone_inputs=inputs.backbone_inputs,
            )
            logits, hidden = self._read(ids, pictures)
            logits[0, -1, end] = -torch.inf
            ids = torch.cat([ids, logits[:, -1:].argmax(dim=-1)], dim=1)
        masks = self._masks(pictures[0], ids, hidden, len(begun))
        return ids[0, len(begun) :].tolist(), masks

    def _read(self, ids: Tensor, pictures: list[EncodedImage]) -> tuple[Tensor, Tensor]:
        """Return logits (1, T, V) and states (1, T, D) of the whole conversation."""
        backbone = self._model.backbone
        inputs = language_inputs(self._model, ids, None, pictures)
        with last_states(backbone) as steps, deep_features(backbone, inputs):
            logits: Tensor = backbone(
                inputs_embeds=inputs.embeddings,
                position_ids=inputs.position_ids,
                use_cache=False,
            ).logits
        return logits, steps[-1]

    def _masks(
        self, picture: EncodedImage, ids: Tensor, hidden: Tensor, begun: int
    ) -> tuple[Tensor, ...]:
        model = self._model
        picture = model.encode_for_segmenter(picture)
        rule = model.config
        places = seg_source_positions(ids[:, begun - 1 :], rule.seg_token_id, rule.seg_state)[:, 1]
        # The last token's own state is known only after one more token.
        places = places[places < hidden.shape[1] - begun + 1] + begun - 1
        shown = torch.zeros_like(places)
        masks, _ = model.decode_masks(hidden[0, places], shown, [picture])
        return () if masks is None else tuple(masks.mask_logits)


def original_image_encoder(config: SamConfig, encoder: nn.Module) -> nn.Module:
    """Build Meta's image encoder with the weights of one of ours, frozen.

    Args:
        config: Sizes of both.
        encoder: Ours; its device and number type are taken over.
    """
    original: nn.Module = ImageEncoderViT(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        mlp_ratio=config.encoder_mlp_dim / config.embed_dim,
        out_chans=config.prompt_dim,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=config.window_size,
        global_attn_indexes=config.global_attn_indexes,
    )
    weights = encoder.state_dict()
    example = next(iter(weights.values()))
    original.to(device=example.device, dtype=example.dtype).load_state_dict(weights)
    return original.requires_grad_(False)
