"""A LISA from parts that have never met: a vision-language model and a SAM, each with its weights.

What is loaded stays as it is, bit for bit. Fresh are the mask projection and the rows of the tokens
that the vocabulary lacks; both follow from a seed and from the weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from tokenizers import AddedToken
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageTextToText, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from lisa.devices import Placement
from lisa.errors import CheckpointError, ConfigError
from lisa.hub import read_json
from lisa.models import LisaConfig, LisaModel
from lisa.models.backbone import counts_on_grids, image_tokens_from_pixels
from lisa.models.loading import check_report, readable_weights
from lisa.processor import LisaProcessor, ProcessorSettings
from lisa.prompts import OWN_CHAT
from lisa.released.config import is_released_layout
from lisa.released.sam import open_sam
from lisa.tokenization import HubTokenizer
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN
from lisa.transforms import SegmenterTransform
from lisa.types import Conversation, ImageSize

NEW_TOKENS = (SEG_TOKEN, REJECT_TOKEN)
_CHAT_TEMPLATE = "chat_template.json"
# Two shapes, so that a number of image tokens that depends on the shape is noticed.
_PROBES = ((96, 160), (250, 70))


def is_base_model(folder: Path) -> bool:
    """Tell whether a folder holds a vision-language model that knows nothing of masks."""
    if not (folder / "config.json").is_file() or is_released_layout(folder):
        return False
    kind = read_json(folder / "config.json").get("model_type")
    return kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES and kind != LisaConfig.model_type


def assemble(
    folder: Path,
    segmenter: Path,
    placement: Placement,
    *,
    seed: int = 0,
    template: str | None = None,
    image_tokens: int | None = None,
) -> tuple[LisaModel, LisaProcessor]:
    """Put a vision-language model and a SAM together.

    Args:
        folder: Of the vision-language model, in transformers' layout with safetensors.
        segmenter: SAM's weights in Meta's layout: a file, or a folder with one such file.
        placement: Device and number types.
        seed: Of the mask projection.
        template: Name in `lisa.prompts.TEMPLATES`; None takes the tokenizer's own chat template.
        image_tokens: Most tokens of a picture; for models in which they vary with its size.

    Raises:
        CheckpointError: If files are missing or damaged, or weights are missing, unexpected or of
            another shape: they are listed.
        ConfigError: If this model cannot be used, or needs another template.
    """
    sam, sam_config = open_sam(segmenter.expanduser())
    tokenizer = _tokenizer(folder)
    backbone = _load_backbone(folder, placement.dtype)
    known = tokenizer.vocab_size
    tokenizer.tokenizer.add_tokens([_new_token(t) for t in NEW_TOKENS])
    seg, reject = (tokenizer.convert_tokens_to_ids(token) for token in NEW_TOKENS)
    assert seg is not None
    attention = backbone.config._attn_implementation
    config = LisaConfig(
        backbone_config=backbone.config,
        segmenter_config=sam_config.to_dict(),
        segmenter_dtype=str(placement.segmenter_dtype).removeprefix("torch."),
        image_token_id=backbone.config.image_token_id,
        seg_token_id=seg,
        reject_token_id=reject,
        dtype=placement.dtype,
    )
    # A configuration hands this down to those inside it: without it the backbone would have lost
    # its own, and with it the causal mask.
    config._attn_implementation = attention
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LisaModel(config, backbone)
    model.segmenter.load_state_dict(dict(sam.stream()))
    _give_rows(backbone, known, tokenizer.vocab_size)
    model.train(False)
    torch.nn.Module.to(model, placement.device)
    images = _image_processor(folder)
    settings = ProcessorSettings(
        template=template or OWN_CHAT,
        image_tokens=_count_image_tokens(backbone, images, image_tokens),
        image_token_id=config.image_token_id,
        context_length=config.context_length,
    )
    transform = SegmenterTransform(sam_config.image_size)
    processor = LisaProcessor(tokenizer, transform, settings, images)
    _check_template(processor)
    return model, processor


def _tokenizer(folder: Path) -> HubTokenizer:
    """Load the tokenizer; older folders keep its chat template in a file of the processor."""
    tokenizer = HubTokenizer.from_pretrained(folder)
    if not tokenizer.has_chat_template and (folder / _CHAT_TEMPLATE).is_file():
        tokenizer.tokenizer.chat_template = read_json(folder / _CHAT_TEMPLATE).get("chat_template")
    return tokenizer


def _image_processor(folder: Path) -> Any:
    """Load the image processor, with Pillow's resampling as `LisaProcessor` loads it again."""
    try:
        return AutoImageProcessor.from_pretrained(str(folder), backend="pil", local_files_only=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder} holds no image processor that can be read: copy preprocessor_config.json "
            "next to the weights."
        ) from error


def _new_token(token: str) -> AddedToken:
    # Without `lstrip` the blank before [SEG] would be a token of its own, and the state that
    # becomes the mask would be that of a blank instead of the last word.
    return AddedToken(token, lstrip=True, normalized=False)


def _load_backbone(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    with readable_weights(str(folder)):
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            str(folder),
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    backbone, report = cast(tuple[PreTrainedModel, dict[str, Any]], loaded)
    check_report(str(folder), report)
    return backbone


def _give_rows(backbone: PreTrainedModel, known: int, wanted: int) -> None:
    """Give the tokens from `known` on the mean of all older rows; tables grow only if they must.

    Tables are often longer than the vocabulary; the rows behind it belong to no token.
    """
    if wanted > len(cast(Tensor, backbone.get_input_embeddings().weight)):
        with torch.random.fork_rng(devices=[]):
            backbone.resize_token_embeddings(wanted, mean_resizing=False)
    layers = (backbone.get_input_embeddings(), backbone.get_output_embeddings())
    # Tied tables are one and the same.
    tables = {id(layer.weight): cast(Tensor, layer.weight) for layer in layers}
    with torch.no_grad():
        for table in tables.values():
            table[known:wanted] = table[:known].mean(dim=0, dtype=torch.float32).to(table.dtype)


def _count_image_tokens(backbone: PreTrainedModel, images: Any, most: int | None) -> int | None:
    """Return how many tokens each picture has; None if that varies with its size, up to `most`."""
    if counts_on_grids(backbone):
        if most is not None:
            side = images.patch_size * images.merge_size
            least = min(images.size["shortest_edge"], most * side**2)
            images.size = {"shortest_edge": least, "longest_edge": most * side**2}
        return None
    if most is not None:
        raise ConfigError(
            f"{type(backbone).__name__} gives every picture the same number of tokens, so "
            "image_tokens has no use: leave it out."
        )
    counts = set()
    for height, width in _PROBES:
        outputs = dict(images([Image.new("RGB", (width, height))], return_tensors="pt"))
        pixels = outputs.pop("pixel_values")
        extra = {k: v for k, v in outputs.items() if isinstance(v, Tensor)}
        with torch.no_grad():
            counts.add(len(image_tokens_from_pixels(backbone, pixels, extra)[0].tokens))
    if len(counts) != 1:
        raise ConfigError(
            f"{type(backbone).__name__} cuts pictures into tiles, so that their tokens vary in "
            "number in a way that is not supported: switch tiling off in the image processor's "
            "files."
        )
    return counts.pop()


def _check_template(processor: LisaProcessor) -> None:
    """Write one example, so that a template that cannot serve fails before the first step."""
    conversation = Conversation().ask("?", image_index=0).answer(SEG_TOKEN)
    size = ImageSize(*_PROBES[0])
    ids = processor.encode_example(conversation, size=size).input_ids
    shown = ids.count(processor.settings.image_token_id)
    if shown != processor.count_image_tokens(size):
        raise ConfigError(
            f'The template "{processor.settings.template}" writes no picture that this model '
            "recognises: name another one."
        )
