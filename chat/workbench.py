"""The models that answers and tools work with, each loaded when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from chat.picture_memory import PictureMemory
from lisa.errors import ConfigError
from lisa.garbage import without_collection
from lisa.hub import NANO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from chat.deciders.planner import PlannerDecider
    from chat.deciders.planner_choice import PlannerChoice
    from chat.state import SessionPicture
    from lisa.captions import NamedThing
    from lisa.models import EncodedImage
    from lisa.models.segmenters import PromptablePicture
    from lisa.pipeline import LisaPipeline
    from lisa.relations import RelationPredictor
    from lisa.relations.panoptic import PanopticSegmenter
    from lisa.tagging import Tag, Tagger

Part: TypeAlias = Literal["tagger", "relations", "panoptic"]
"""A model that tools need beside the one that answers."""

IMAGE_CACHE_BYTES = 1 << 30
LEAST_CHANCE = 0.3
"""A thing whose probability is below this share of its tag's threshold is not looked for: a model
that is asked to segment something would rather show anything. On composed scenes this keeps nine
things of ten that are there, and leaves out nine of ten that are not."""

_THING_CATEGORIES = (None, "object", "object or scene")
"""Categories of tags that name things; a tagger without categories has None."""


@dataclass(frozen=True)
class ModelChoice:
    """Which models to load, and where to.

    Attributes:
        model: That answers: "lisa-nano", a hub id, or a folder.
        tagger: That says what a picture shows; None for none.
        relations: Weights that say how things relate; None for none.
        panoptic: A Mask2Former or OneFormer that divides pictures; None for none.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        dtype: "auto", "float32", "bfloat16", "float16".
        revision: Branch, tag or commit of `model` on the hub.
        offline: Never ask the network.
        template: Conversation template instead of the default one.
        vision_tower: The CLIP that published layouts leave out.
        quantize: "4bit" or "8bit" for the language model of a published layout.
        pack_weights: As `LisaPipeline.from_pretrained` takes it.
        segmenter_dtype: Number type of the segmenter, if another.
        planner: Another model that decides which tools are called; None lets `model` decide.
    """

    model: str = NANO
    tagger: str | None = NANO
    relations: str | None = NANO
    panoptic: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    revision: str | None = None
    offline: bool = False
    template: str | None = None
    vision_tower: str | None = None
    quantize: str | None = None
    pack_weights: bool = True
    segmenter_dtype: str | None = None
    planner: PlannerChoice | None = None


class Workbench:
    """Models, and what they have found out about pictures.

    Attributes:
        lock: Whoever uses a model holds it: hooks on a model see whatever runs through it.
        encodings: How many pictures the model has encoded so far.
        memory: What is known of pictures.
    """

    def __init__(
        self, choice: ModelChoice | None = None, *, image_cache_bytes: int = IMAGE_CACHE_BYTES
    ) -> None:
        """Note what to load; nothing is loaded yet.

        Args:
            choice: None takes lisa-nano for everything.
            image_cache_bytes: How much memory encoded pictures may take.
        """
        self.choice = choice or ModelChoice()
        self.lock = threading.RLock()
        self.encodings = 0
        self.memory = PictureMemory(image_cache_bytes)
        self._pipeline: LisaPipeline | None = None
        self._tagger: Tagger | None = None
        self._relations: RelationPredictor | None = None
        self._panoptic: PanopticSegmenter | None = None
        self._planner: PlannerDecider | None = None

    @classmethod
    def of(
        cls,
        pipeline: LisaPipeline,
        tagger: Tagger | None = None,
        relations: RelationPredictor | None = None,
        panoptic: PanopticSegmenter | None = None,
        *,
        image_cache_bytes: int = IMAGE_CACHE_BYTES,
    ) -> Self:
        """Put models together that are loaded already; None leaves one out."""
        none = ModelChoice("", tagger=None, relations=None)
        bench = cls(none, image_cache_bytes=image_cache_bytes)
        bench._pipeline, bench._tagger = pipeline, tagger
        bench._relations, bench._panoptic = relations, panoptic
        return bench

    # --- Models -----------------------------------------------------------------------------------

    @property
    def pipeline(self) -> LisaPipeline:
        """The model that answers.

        Raises:
            CheckpointError: If its weights cannot be found, read, or do not fit.
            DeviceError: If device or number type do not exist here.
        """
        with self.lock:
            if self._pipeline is None:
                self._pipeline = self._load_pipeline()
            return self._pipeline

    @property
    def tagger(self) -> Tagger:
        """The model that tags; raises what `pipeline` raises, and ConfigError if there is none."""
        with self.lock:
            if self._tagger is None:
                from lisa.tagging import Tagger

                wanted = self.choice
                self._tagger = Tagger.from_pretrained(
                    _named(wanted.tagger, "tagger"),
                    device=wanted.device,
                    dtype=wanted.dtype,
                    offline=wanted.offline,
                )
            return self._tagger

    @property
    def relations(self) -> RelationPredictor:
        """What relates masks; raises what `pipeline` raises, and ConfigError if there is none."""
        with self.lock:
            if self._relations is None:
                from lisa.relations import RelationPredictor

                wanted = self.choice
                self._relations = RelationPredictor.from_pretrained(
                    _named(wanted.relations, "relation weights"),
                    device=wanted.device,
                    offline=wanted.offline,
                )
            return self._relations

    @property
    def panoptic(self) -> PanopticSegmenter | None:
        """The model that divides pictures, if there is one; raises what `pipeline` raises."""
        with self.lock:
            if self._panoptic is None and self.choice.panoptic is not None:
                from lisa.relations.panoptic import PanopticSegmenter

                wanted = self.choice
                self._panoptic = PanopticSegmenter.from_pretrained(
                    self.choice.panoptic, wanted.device, wanted.dtype, offline=wanted.offline
                )
            return self._panoptic

    @property
    def planner(self) -> PlannerDecider | None:
        """The planner, if one was chosen; raises what `open_planner` raises."""
        with self.lock:
            if self._planner is None and self.choice.planner is not None:
                from chat.deciders.planner_choice import open_planner

                wanted = self.choice
                self._planner = open_planner(
                    self.choice.planner, wanted.device, wanted.dtype, wanted.offline
                )
            return self._planner

    def has(self, part: Part) -> bool:
        """Tell whether there is a model for a part that fits the model which answers.

        Relation weights read mask tokens, so both models are loaded to compare their widths.

        Raises:
            CheckpointError: If weights cannot be found, read, or do not fit.
            DeviceError: If device or number type do not exist here.
        """
        loaded = {"tagger": self._tagger, "relations": self._relations, "panoptic": self._panoptic}
        if loaded[part] is None and getattr(self.choice, part) is None:
            return False
        if part != "relations":
            return True
        width = self.pipeline.model.segmenter.prompt_dim
        return self.relations.model.config.feature_size == width

    @without_collection()
    def _load_pipeline(self) -> LisaPipeline:
        from lisa.pipeline import LisaPipeline

        wanted = self.choice
        return LisaPipeline.from_pretrained(
            wanted.model,
            device=wanted.device,
            dtype=wanted.dtype,
            segmenter_dtype=wanted.segmenter_dtype,
            revision=wanted.revision,
            offline=wanted.offline,
            template=wanted.template,
            vision_tower=wanted.vision_tower,
            quantize=wanted.quantize,
            pack_weights=wanted.pack_weights,
        )

    # --- What is known of a picture ---------------------------------------------------------------

    def encode(self, picture: SessionPicture) -> EncodedImage:
        """Return a picture as the model sees it; it is encoded once as long as it is remembered.

        Raises:
            ImageError: If the model does not take a picture of such a shape.
        """
        from lisa.types import ImageSize

        with self.lock:
            known = self.memory.of(picture.digest)
            if known.encoded is None:
                size = ImageSize(picture.image.height, picture.image.width)
                known.encoded = self.pipeline.encode(picture.image)
                self.encodings += 1
                self.memory.grew(picture.digest, self.pipeline.kept_bytes(size))
            return known.encoded

    def promptable(self, picture: SessionPicture) -> PromptablePicture:
        """Return a picture as the segmenter sees it; its encoder runs once at most."""
        with self.lock:
            known, model = self.memory.of(picture.digest), self.pipeline.model
            # Kept, or a segmenter that reads pixels would begin anew for every tool.
            known.encoded = model.encode_for_segmenter(self.encode(picture))
            return model.promptable(known.encoded)

    def tags(self, picture: SessionPicture) -> tuple[Tag, ...]:
        """Return the tags of a picture, the surest first.

        Raises:
            ConfigError: If there is no tagger.
        """
        with self.lock:
            known = self.memory.of(picture.digest)
            if known.tags is None:
                tagger = self.tagger
                row = tagger.probabilities([picture.image])[0]
                found = tagger.found(row)
                known.tags = tuple(sorted(found, key=lambda tag: -tag.probability))
                known.chances = {
                    tag.name: probability / max(tag.threshold, 1e-6)
                    for tag, probability in zip(tagger.tags, row.tolist(), strict=True)
                }
            return known.tags

    def thing_names(self, picture: SessionPicture) -> list[str]:
        """Return the tags that name things, the surest first."""
        return [tag.name for tag in self.tags(picture) if tag.category in _THING_CATEGORIES]

    def rules_out(self, picture: SessionPicture, name: str) -> bool:
        """Tell whether the tagger knows a name and is sure that the picture has no such thing."""
        with self.lock:
            if not self.has("tagger"):
                return False
            self.tags(picture)
            chances = self.memory.of(picture.digest).chances or {}
            return chances.get(name, LEAST_CHANCE) < LEAST_CHANCE

    def things(self, picture: SessionPicture) -> tuple[NamedThing, ...]:
        """Return what the model finds by name: its tags, or without a tagger all that it sees."""
        with self.lock:
            known = self.memory.of(picture.digest)
            if known.things is None:
                names = self.thing_names(picture) if self.has("tagger") else None
                known.things = self.find(picture, names)
                masks = sum(thing.segment.mask.nbytes for thing in known.things)
                self.memory.grew(picture.digest, masks)
            return known.things

    def find(self, picture: SessionPicture, names: Sequence[str] | None) -> tuple[NamedThing, ...]:
        """Ask the model for things by name; None for everything that it sees.

        Names that the tagger rules out are left out.
        """
        from lisa.captions import find_things

        with self.lock:
            if names is not None:
                names = [name for name in names if not self.rules_out(picture, name)]
            return tuple(find_things(self.pipeline, self.encode(picture), names))

    def features(self, picture: SessionPicture, masks: Sequence[NDArray[np.bool_]]) -> Tensor:
        """Return the mask tokens of masks of a picture, float32 (N, C), for relations."""
        from lisa.relations.features import features_of_masks

        with self.lock:
            return features_of_masks(self.promptable(picture), masks)


def _named(name: str | None, what: str) -> str:
    if name is None:
        raise ConfigError(f"no {what} was chosen: name one, or do without the tools that need it.")
    return name
