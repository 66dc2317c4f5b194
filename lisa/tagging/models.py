"""The tagging models: Recognize Anything, its successor "plus", Tag2Text, and lists of one's own.

Zhang et al. 2023 (arXiv 2306.03514), Huang et al. 2023 (arXiv 2310.15200 and 2303.05657). Parts
have the names of the released weights. All answer the same two calls: `encode` and `tag_logits`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lisa.released.empty_model import put
from lisa.tagging.config import Kind, SwinSizes, TaggingConfig, TrunkSizes
from lisa.tagging.encoder import PictureEncoder
from lisa.tagging.labels import Labels
from lisa.tagging.query_decoder import QueryDecoder
from lisa.tagging.swin import SwinEncoder
from lisa.tagging.text_models import build_tag_encoder, build_text_decoder
from lisa.tagging.trunk_encoder import TrunkEncoder

_ENCODERS: Mapping[type, Callable[..., PictureEncoder]] = MappingProxyType(
    {SwinSizes: SwinEncoder, TrunkSizes: TrunkEncoder}
)


class TaggingModel(nn.Module):
    """What they have in common."""

    def __init__(self, config: TaggingConfig) -> None:
        super().__init__()
        self.config = config
        self.visual_encoder = _ENCODERS[type(config.encoder)](config.encoder)
        self.tagging_head = QueryDecoder(
            config.hidden, config.intermediate, config.token_width, config.layers, config.heads
        )
        if config.text is not None:
            self.tag_encoder = build_tag_encoder(config)
            self.text_decoder = build_text_decoder(config)
            self.tie()

    def tied_names(self) -> dict[str, str]:
        """Returns the weights that are others under a second name, and which they are.

        The first layers of the tag encoder share all but their self-attention with the query
        decoder, and the caption's words share their table with the classifier of words.
        """
        if self.config.text is None:
            return {}
        head, encoder = "tagging_head.encoder.layer.", "tag_encoder.encoder.layer."
        predictions = "text_decoder.cls.predictions"
        shared = {
            f"{encoder}{name}": f"{head}{name}"
            for name, _ in self.tagging_head.layers.named_parameters()
        }
        return {
            **shared,
            f"{predictions}.decoder.weight": "text_decoder.bert.embeddings.word_embeddings.weight",
            f"{predictions}.decoder.bias": f"{predictions}.bias",
        }

    def shared_names(self) -> frozenset[str]:
        """Returns the weights and buffers that another model stores."""
        part = self.visual_encoder.shared
        prefix = f"visual_encoder.{part}."
        return frozenset(name for name in self.state_dict() if part and name.startswith(prefix))

    def tie(self) -> None:
        """Makes the shared weights one; needed after weights were put in."""
        for name, source in self.tied_names().items():
            owner, _, leaf = name.rpartition(".")
            setattr(self.get_submodule(owner), leaf, self.get_parameter(source))

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return next(self.tagging_head.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Number type of the weights."""
        return next(self.tagging_head.parameters()).dtype

    def encode(self, pixel_values: Tensor) -> Tensor:
        """Returns the image tokens (B, 1 + P, token_width) of pictures (B, 3, S, S)."""
        raise NotImplementedError

    def own_labels(self) -> Labels:
        """Returns the tags that the model was trained with."""
        raise NotImplementedError

    def label_weights(self, labels: Labels) -> dict[str, Tensor]:
        """Returns the weights, by name, of a model of this kind whose own tags these are."""
        raise NotImplementedError

    def relabel(self, labels: Labels) -> None:
        """Makes other tags the model's own, all described by equally many texts."""
        for name, tensor in self.label_weights(labels).items():
            put(self, name, tensor.detach().clone().to(device=self.device, dtype=self.dtype))
        texts = labels.blocks[0].shape[1]
        self.config = replace(self.config, num_tags=len(labels), texts_per_tag=texts)

    def tag_logits(self, tokens: Tensor, labels: Labels) -> Tensor:
        """Returns (B, C) for the image tokens of B pictures and C tags."""
        raise NotImplementedError


class OpenVocabularyModel(TaggingModel):
    """Recognize Anything: a tag is a CLIP text embedding, so any text can be one.

    With more than one text per tag (the "plus" model), the picture decides how much each of the
    texts counts.
    """

    def __init__(self, config: TaggingConfig) -> None:
        super().__init__(config)
        rows = config.num_tags * config.texts_per_tag
        self.label_embed = nn.Parameter(torch.zeros(rows, config.label_width))
        self.wordvec_proj = nn.Linear(config.label_width, config.hidden)
        self.image_proj = nn.Linear(config.encoder.output_width, config.token_width)
        self.fc = nn.Linear(config.hidden, 1)
        if config.kind == "recognize-anything-plus":
            self.reweight_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def weighs_texts(self) -> bool:
        """Whether the picture weighs several texts of a tag."""
        return self.config.kind == "recognize-anything-plus"

    def encode(self, pixel_values: Tensor) -> Tensor:
        """Returns the image tokens (B, 1 + P, token_width) of pictures (B, 3, S, S)."""
        tokens: Tensor = self.image_proj(self.visual_encoder(pixel_values))
        return tokens

    def own_labels(self) -> Labels:
        """Returns the tags that the model was trained with."""
        return Labels((self.label_embed.unflatten(0, (-1, self.config.texts_per_tag)),))

    def label_weights(self, labels: Labels) -> dict[str, Tensor]:
        """Returns the weights, by name, of a model of this kind whose own tags these are."""
        return {"label_embed": torch.cat(labels.blocks).flatten(0, 1)}

    def embed_labels(self, tokens: Tensor, labels: Labels) -> Tensor:
        """Returns one embedding (B, C, label_width) per picture and tag."""
        batch = tokens.shape[0]
        if not self.weighs_texts:
            joined = torch.cat([block.squeeze(1) for block in labels.blocks])
            return joined.expand(batch, -1, -1)
        return torch.cat(
            [
                torch.einsum("bck,cke->bce", self.weigh_texts(tokens, block), block)
                for block in labels.blocks
            ],
            dim=1,
        )

    def weigh_texts(self, tokens: Tensor, block: Tensor) -> Tensor:
        """Returns how much each text of a tag counts for each picture.

        Args:
            tokens: (B, 1 + P, E) image tokens; the first one decides.
            block: (C, K, E) text embeddings.

        Returns:
            (B, C, K), which sum to 1 over the texts of a tag.
        """
        seen = F.normalize(tokens[:, 0], dim=-1)
        likeness = self.reweight_scale.exp() * torch.einsum("be,cke->bck", seen, block)
        return likeness.softmax(dim=-1)

    def tag_logits(self, tokens: Tensor, labels: Labels) -> Tensor:
        """Returns (B, C) for the image tokens of B pictures and C tags."""
        queries = F.relu(self.wordvec_proj(self.embed_labels(tokens, labels)))
        logits: Tensor = self.fc(self.tagging_head(queries, tokens)).squeeze(-1)
        return logits


class FixedListModel(TaggingModel):
    """Tag2Text and lists of one's own: learned queries, and a row of the classifier for each tag.

    What the decoder reads are the encoder's tokens as they are.
    """

    def __init__(self, config: TaggingConfig) -> None:
        super().__init__(config)
        self.label_embed = nn.Embedding(config.num_tags, config.hidden)
        self.fc = nn.ParameterDict(
            {
                "W": nn.Parameter(torch.zeros(1, config.num_tags, config.hidden)),
                "b": nn.Parameter(torch.zeros(1, config.num_tags)),
            }
        )

    def encode(self, pixel_values: Tensor) -> Tensor:
        """Returns the image tokens (B, 1 + P, token_width) of pictures (B, 3, S, S)."""
        tokens: Tensor = self.visual_encoder(pixel_values)
        return tokens

    def own_labels(self) -> Labels:
        """Returns the tags that the model was trained with."""
        return Labels((self.label_embed.weight[:, None],), self.fc["W"][0], self.fc["b"][0])

    def label_weights(self, labels: Labels) -> dict[str, Tensor]:
        """Returns the weights, by name, of a model of this kind whose own tags these are."""
        assert labels.weights is not None and labels.biases is not None
        return {
            "label_embed.weight": torch.cat(labels.blocks).flatten(0, 1),
            "fc.W": labels.weights[None],
            "fc.b": labels.biases[None],
        }

    def tag_logits(self, tokens: Tensor, labels: Labels) -> Tensor:
        """Returns (B, C) for the image tokens of B pictures and C tags."""
        queries = torch.cat([block.squeeze(1) for block in labels.blocks])
        answers = self.tagging_head(queries.expand(tokens.shape[0], -1, -1), tokens)
        assert labels.weights is not None and labels.biases is not None
        logits: Tensor = (answers * labels.weights).sum(dim=-1) + labels.biases
        return logits


_MODELS: Mapping[Kind, type[TaggingModel]] = MappingProxyType(
    {
        "recognize-anything": OpenVocabularyModel,
        "recognize-anything-plus": OpenVocabularyModel,
        "tag2text": FixedListModel,
        "fixed-list": FixedListModel,
    }
)


def build_model(config: TaggingConfig) -> TaggingModel:
    """Builds a model of a kind with untrained weights."""
    return _MODELS[config.kind](config)
