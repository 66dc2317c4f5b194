"""Tiny random tagging models, released files and ours, and a tiny CLIP."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    PreTrainedTokenizerFast,
)

from lisa.tagging import SwinSizes, Tagger, TaggingConfig, TextSizes, TrunkSizes, build_model
from lisa.tagging.config import Kind
from lisa.tagging.models import TaggingModel
from lisa.tagging.released import released_tensors
from tests.tiny_nano import ARCHITECTURE, MAPS, nano_model

WIDTH = 12
"""Numbers that stand for a text."""

SIDE = 64
NAMES = ("apple", "ball", "cup", "dog", "running", "red")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "|", "a", "picture", "of"),
    *NAMES,
    *(letter for letter in _LETTERS if letter != "a"),
    *(f"##{letter}" for letter in _LETTERS),
)


def tiny_config(kind: Kind, texts: int = 51, tags: int = len(NAMES)) -> TaggingConfig:
    """Sizes that keep every relation of the full ones."""
    is_tag2text = kind == "tag2text"
    return TaggingConfig(
        kind=kind,
        encoder=SwinSizes(SIDE, 2, 8, (1, 2, 2, 1), (1, 2, 2, 4)),
        num_tags=tags,
        texts_per_tag=texts if kind == "recognize-anything-plus" else 1,
        label_width=24 if is_tag2text else WIDTH,
        token_width=64 if is_tag2text else WIDTH,
        hidden=24,
        intermediate=32,
        layers=2,
        heads=4,
        text=None
        if kind == "recognize-anything-plus"
        else TextSizes(vocabulary=len(VOCABULARY) + 2, layers=3, heads=12, positions=64),
    )


def tiny_model(kind: Kind, texts: int = 51, seed: int = 0) -> TaggingModel:
    """A model whose answers differ from picture to picture."""
    generator = torch.Generator().manual_seed(seed)
    model = build_model(tiny_config(kind, texts)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                # Large steps, so that pictures differ; the text models speak without them.
                gain = 1.0 if name.startswith(("tag_encoder", "text_decoder")) else 2.5
                plain = "embed" in name or "relative_position" in name
                spread = 1.0 if plain else gain * weight.shape[-1] ** -0.5
                weight.copy_(torch.randn(weight.shape, generator=generator) * spread)
            elif name.endswith("bias"):
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    return model


def write_lisa(folder: Path) -> Path:
    """Writes the tiny LISA model whose vision tower `trunk_model` reads."""
    nano_model().save_pretrained(folder)
    return folder


def trunk_model(lisa: Path, tags: int) -> TaggingModel:
    """A model for a fixed list on the vision tower of the model in `lisa`."""
    encoder = TrunkSizes(
        weights_of=str(lisa),
        architecture=ARCHITECTURE,
        image_size=SIDE,
        stages=(1, 2, 3, 4),
        channels=MAPS[1:],
        grid_side=4,
        output_width=16,
    )
    model = build_model(TaggingConfig("fixed-list", encoder, tags, 1, 24, 16, 24, 32, 1, 4)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.4)
    tower = nano_model().backbone.model.vision_tower
    model.visual_encoder.tower.load_state_dict(tower.state_dict())
    return model


def assert_same_answers(first: Tagger, second: Tagger, pictures: list[Image.Image]) -> None:
    """Equal up to rounding: where weights lie in memory decides in which order sums are taken."""
    torch.testing.assert_close(
        first.probabilities(pictures), second.probabilities(pictures), atol=1e-6, rtol=1e-5
    )


def released_state(model: TaggingModel) -> dict[str, Tensor]:
    """What a released file of a model holds, with numbers of no meaning where we compute."""
    state = model.state_dict()
    computed = {
        name: torch.zeros(info.shape, dtype=info.dtype)
        for name, info in released_tensors(model).items()
        if name not in state
    }
    return {**state, **computed}


def write_released(model: TaggingModel, path: Path) -> Path:
    """Writes a model as a training run of the original project saves it, with its lists beside."""
    state = released_state(model)
    content = {
        "model": state,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]},
        "config": {"image_size": SIDE},
        "epoch": 4,
    }
    torch.save(content, path)
    is_tag2text = model.config.kind == "tag2text"
    name = "tag2text_ori_tag_list.txt" if is_tag2text else "ram_tag_list.txt"
    (path.parent / name).write_text("\n".join(NAMES))
    if not is_tag2text:
        (path.parent / "ram_tag_list_threshold.txt").write_text("0.5\n" * len(NAMES))
    (path.parent / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return path


def write_clip(folder: Path, width: int = WIDTH) -> Path:
    """Writes a tiny random CLIP, both halves, as transformers saves it."""
    torch.manual_seed(5)
    letters = {token: number for number, token in enumerate(("<s>", "</s>", *_LETTERS, ".", "?"))}
    text = CLIPTextConfig(
        vocab_size=len(letters),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        projection_dim=width,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=width,
    )
    sides = {"text_config": text.to_dict(), "vision_config": vision.to_dict()}
    model = CLIPModel(CLIPConfig(**sides, projection_dim=width))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(std=0.5)
    model.save_pretrained(folder)
    square = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=square).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="?"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    ).save_pretrained(folder)
    return folder
