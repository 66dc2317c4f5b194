"""Every pixel's thing and its class: panoptic segments, which give a scene graph its names.

The models are transformers' own (Mask2Former, MaskFormer, OneFormer); here their answer becomes
segments with names, and their map of mask features becomes what relations read of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import (
    AutoImageProcessor,
    AutoModelForUniversalSegmentation,
    CLIPTokenizer,
    OneFormerProcessor,
)

from lisa.devices import choose_device, choose_dtype
from lisa.errors import CheckpointError
from lisa.hub import read_json, resolve
from lisa.masks import mask_to_box
from lisa.models.loading import check_report, readable_weights
from lisa.relations.graph import SceneGraph
from lisa.relations.vocabulary import STUFF_CLASSES
from lisa.types import Segment

KNOWN_WEIGHTS = "facebook/mask2former-swin-base-coco-panoptic"
"""A hub id that serves, for messages."""

_NEEDS_TASK = "oneformer"
"""The kind that is told in words what to do."""

_KINDS = ("mask2former", "maskformer", _NEEDS_TASK)
"""Those that multiply queries with a map of mask features."""


@dataclass(frozen=True, eq=False)
class DividedPicture:
    """What a panoptic model says of a picture.

    Attributes:
        graph: Named segments, the largest first, without relations; no two share a pixel.
        features: float32 (C, h, w): the map of mask features, which covers the whole picture; on
            the model's device.
    """

    graph: SceneGraph
    features: Tensor


class PanopticSegmenter:
    """Divides pictures into named segments.

    Attributes:
        names: Name of each class by the model's number.
        feature_size: Channels C of the map of mask features.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        """Take a model of transformers and the processor that prepares pictures for it."""
        self.model = model.eval()
        self.processor = processor
        names = {int(number): str(name) for number, name in model.config.id2label.items()}
        self.names = names
        self.feature_size = int(
            model.config.mask_dim
            if model.config.model_type == _NEEDS_TASK
            else model.config.mask_feature_size
        )
        # One sky, however many pieces of it the model has found.
        self._fused = {number for number, name in names.items() if name in STUFF_CLASSES}

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
        *,
        revision: str | None = None,
        offline: bool = False,
    ) -> Self:
        """Load a model.

        Args:
            name_or_path: Hub id or folder of a panoptic model in transformers' layout, with
                safetensors.
            device: "auto", "cpu", "cuda", "cuda:1", "mps".
            dtype: "auto", "float32", "bfloat16", "float16".
            revision: Branch, tag or commit on the hub.
            offline: Never ask the network.

        Raises:
            CheckpointError: If weights cannot be found, read, or belong to another kind of model.
            DeviceError: If device or number type do not exist here.
        """
        place = choose_device(device)
        kind = choose_dtype(dtype, place)
        folder = resolve(name_or_path, revision, offline, pickled=None)
        found = read_json(folder / "config.json").get("model_type")
        if found not in _KINDS:
            raise CheckpointError(
                f"{name_or_path} holds a model of kind {found!r}, which gives no panoptic "
                f"segments: give a Mask2Former or OneFormer, such as {KNOWN_WEIGHTS}."
            )
        with readable_weights(str(name_or_path)):
            loaded: Any = AutoModelForUniversalSegmentation.from_pretrained(
                str(folder),
                dtype=kind,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
            model, report = cast(tuple[Any, dict[str, Any]], loaded)
            processor = _open_processor(folder, model.config)
        check_report(str(name_or_path), report)
        return cls(model.to(place), processor)

    def __call__(self, image: Image.Image, threshold: float = 0.5) -> SceneGraph:
        """Divide an RGB picture; see `divide`."""
        return self.divide(image, threshold).graph

    def divide(self, image: Image.Image, threshold: float = 0.5) -> DividedPicture:
        """Divide an RGB picture, and keep the features from which its masks were made.

        Args:
            image: The picture.
            threshold: Lowest probability of a segment's class.
        """
        outputs = self._run(image)
        (divided,) = self.processor.post_process_panoptic_segmentation(
            outputs,
            threshold=threshold,
            label_ids_to_fuse=self._fused,
            target_sizes=[(image.height, image.width)],
        )
        numbers = divided["segmentation"].cpu().numpy()
        found = [
            (_segment(numbers == one["id"], float(one["score"])), int(one["label_id"]))
            for one in divided["segments_info"]
        ]
        # A segment may be found and then lie under others as a whole.
        found = [pair for pair in found if pair[0].box is not None]
        found.sort(key=lambda pair: -int(pair[0].mask.sum()))
        names = tuple(self.names.get(label, str(label)) for _, label in found)
        graph = SceneGraph(tuple(segment for segment, _ in found), (), names)
        return DividedPicture(graph, self._feature_map(outputs))

    def feature_map(self, image: Image.Image) -> Tensor:
        """Return the map of mask features of an RGB picture; see `DividedPicture`."""
        return self._feature_map(self._run(image))

    @torch.no_grad()
    def _run(self, image: Image.Image) -> Any:
        is_told = self.model.config.model_type == _NEEDS_TASK
        told = {"task_inputs": ["panoptic"]} if is_told else {}
        inputs = self.processor(images=[image], return_tensors="pt", **told)
        parameter = next(self.model.parameters())
        moved = {
            name: value.to(parameter.device, parameter.dtype)
            if value.is_floating_point()
            else value.to(parameter.device)
            for name, value in inputs.items()
        }
        # One kind gives its map of mask features only among the hidden states.
        return self.model(**moved, output_hidden_states=is_told)

    def _feature_map(self, outputs: Any) -> Tensor:
        is_told = self.model.config.model_type == _NEEDS_TASK
        features: Tensor = (
            outputs.pixel_decoder_hidden_states[0]
            if is_told
            else outputs.pixel_decoder_last_hidden_state
        )
        return features[0].float()


def _open_processor(folder: Path, config: Any) -> Any:
    """Load what prepares pictures; it never asks the network."""
    if config.model_type != _NEEDS_TASK:
        return AutoImageProcessor.from_pretrained(str(folder), local_files_only=True)
    # Left to itself it would fetch a list of class names, which only training reads.
    pixels = AutoImageProcessor.from_pretrained(
        str(folder), local_files_only=True, class_info_file=None
    )
    words = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    return OneFormerProcessor(pixels, words, task_seq_length=config.task_seq_len)


def _segment(mask: NDArray[np.bool_], score: float) -> Segment:
    return Segment(mask, mask_to_box(mask), score, "found", None, (0, 0))
