"""Says what is in pictures: the public face of the tagging models.

tagger = Tagger.from_pretrained("ram_plus_swin_large_14m.pth")
for tags in tagger([picture, "another.jpg"]):
    print([(tag.name, tag.probability) for tag in tags])
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lisa.devices import choose_device, choose_dtype, pictures_at_once
from lisa.errors import CheckpointError, ConfigError
from lisa.images import ImageSource, open_image
from lisa.tagging.checkpoint import TaggingFiles, find_files, load_model, save_model, write_json
from lisa.tagging.labels import Labels
from lisa.tagging.models import OpenVocabularyModel, TaggingModel
from lisa.tagging.tags import (
    TAGS_FILE,
    NameList,
    Tag,
    TagInfo,
    Thresholds,
    describe_tags,
    read_tags,
    with_threshold,
)
from lisa.tagging.vocabulary import TextEncoder, describe_words, ensemble, own_words

OWN_THRESHOLD = 0.5
"""Threshold of words of one's own, as published."""


class Tagger:
    """A tagging model and the tags that it is asked for.

    It is never changed: a tagger for fewer or other tags is a new one that shares the weights.

    Attributes:
        model: The network.
        tags: The C tags that it is asked for.
        labels: Their embeddings, in the same order.
    """

    def __init__(
        self, model: TaggingModel, tags: Sequence[TagInfo], labels: Labels | None = None
    ) -> None:
        self.model = model
        self.tags = tuple(tags)
        self.labels = model.own_labels() if labels is None else labels
        assert len(self.tags) == len(self.labels)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        tag_list: NameList | None = None,
        thresholds: Thresholds | None = None,
        chinese: NameList | None = None,
        image_size: int | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        revision: str | None = None,
        offline: bool = False,
    ) -> Tagger:
        """Loads a tagger; of a released file only the parts that tag are read.

        Args:
            name_or_path: `ram_swin_large_14m.pth`, `ram_plus_swin_large_14m.pth` or
                `tag2text_swin_14m.pth`, a folder with one of them or saved by `save_pretrained`, a
                hub id, or a hub id and a file's name ("owner/name/file.pth").
            tag_list: The tags' names, or a text file with one a line; None looks beside the
                weights. An empty list leaves the model's own tags out, for `with_words` to follow;
                then no thresholds are needed either.
            thresholds: One number for all tags, one for each, or a text file with one a line; None
                looks beside the weights.
            chinese: The tags' Chinese names, as `tag_list`; they may be missing.
            image_size: Side of the square that the model sees, in pixels; None takes that of the
                weights.
            device: As `lisa.devices.choose_device` takes it.
            dtype: As `lisa.devices.choose_dtype` takes it.
            revision: Branch, tag or commit on the hub.
            offline: Use only what was downloaded before.

        Raises:
            CheckpointError: If weights or a needed list are missing or damaged; it names them.
            ConfigError: If a list has another length, or an option cannot be.
            DeviceError: If there is no such device.
        """
        files = find_files(name_or_path, revision, offline)
        chosen = choose_device(device)
        model = load_model(
            files, image_size=image_size, dtype=choose_dtype(dtype, chosen), device=chosen
        )
        return cls.named(model, files, tag_list, thresholds, chinese)

    @classmethod
    def named(
        cls,
        model: TaggingModel,
        files: TaggingFiles,
        tag_list: NameList | None = None,
        thresholds: Thresholds | None = None,
        chinese: NameList | None = None,
    ) -> Tagger:
        """Finds the names of a loaded model's tags; arguments and errors as `from_pretrained`."""
        if tag_list is not None and not isinstance(tag_list, str | Path) and not len(tag_list):
            return cls(model, (), Labels(()))
        tags = read_tags(
            files,
            model.config.kind,
            model.config.num_tags,
            tag_list=tag_list,
            thresholds=thresholds,
            chinese=chinese,
        )
        return cls(model, tags)

    # --- Asking -----------------------------------------------------------------------------------

    def __call__(
        self, images: Sequence[ImageSource], *, batch_size: int | None = None
    ) -> list[tuple[Tag, ...]]:
        """Returns the tags of each picture, in the order of the tag list.

        Args:
            images: Pictures, as `lisa.images.open_image` takes them.
            batch_size: Pictures that are encoded together; the result does not depend on it. None
                takes what pays: several on a GPU, one on a CPU.

        Raises:
            ImageError: If a picture cannot be opened.
            ConfigError: If one picture is given where a list belongs, or there is no tag to ask
                for.
        """
        return [self.found(row) for row in self.probabilities(images, batch_size=batch_size)]

    def probabilities(
        self, images: Sequence[ImageSource], *, batch_size: int | None = None
    ) -> Tensor:
        """Returns the probability of every tag in every picture, float32 (B, C) on the CPU.

        Args and raises: as `__call__`.
        """
        rows = [self._probabilities(part) for part in self._batches(images, batch_size)]
        return torch.cat(rows) if rows else torch.zeros(0, len(self.tags))

    def _batches(
        self, images: Sequence[ImageSource], batch_size: int | None
    ) -> Iterator[list[Image.Image]]:
        check_list(images)
        if not self.tags:
            raise ConfigError("the tagger has no tags yet: add words with `with_words`.")
        if batch_size is None:
            batch_size = pictures_at_once(self.model.device)
        size = max(1, batch_size)
        for start in range(0, len(images), size):
            yield [open_image(image) for image in images[start : start + size]]

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """Returns the image tokens (B, 1 + P, D) of opened pictures, on the model's device."""
        pixels = torch.stack([self.model.visual_encoder.transform(image) for image in images])
        with torch.inference_mode():
            return self.model.encode(pixels.to(device=self.model.device, dtype=self.model.dtype))

    @torch.inference_mode()
    def _probabilities(self, images: Sequence[Image.Image]) -> Tensor:
        return self.probabilities_of_tokens(self.encode(images))

    @torch.inference_mode()
    def probabilities_of_tokens(self, tokens: Tensor) -> Tensor:
        """Returns what `probabilities` does, for what `encode` returned."""
        return self.model.tag_logits(tokens, self.labels).float().sigmoid().cpu()

    def found(self, probabilities: Tensor) -> tuple[Tag, ...]:
        """Returns the tags of a picture from its row of `probabilities`."""
        return tuple(
            Tag(tag.name, probability, tag.threshold, tag.category, tag.chinese)
            for tag, probability in zip(self.tags, probabilities.tolist(), strict=True)
            if probability > tag.threshold
        )

    # --- Other tags -------------------------------------------------------------------------------

    def restricted(
        self,
        names: Collection[str] | None = None,
        *,
        categories: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> Tagger:
        """Returns a tagger for some of the tags, whose probabilities stay what they were.

        Args:
            names: The tags to keep; None keeps all.
            categories: Keep only tags of these categories; None keeps all.
            without: Tags to leave out, such as "room" and "building" where things are to be cut
                out.

        Raises:
            ConfigError: If a name or a category is not known, or no tag is left.
        """
        known = {tag.name for tag in self.tags}
        unknown = [name for name in (*(names or ()), *without) if name not in known]
        if unknown:
            raise ConfigError(
                f"the tagger has no tag {unknown[0]!r}: choose among its {len(self.tags)} tags, or "
                "add words of your own."
            )
        kinds = {tag.category for tag in self.tags if tag.category is not None}
        strange = [name for name in categories or () if name not in kinds]
        if strange:
            raise ConfigError(
                f"no tag has the category {strange[0]!r}: known here are "
                f"{', '.join(sorted(kinds)) or 'none'}."
            )
        kept = [
            place
            for place, tag in enumerate(self.tags)
            if (names is None or tag.name in names)
            and (categories is None or tag.category in categories)
            and tag.name not in without
        ]
        return self._with_places(kept)

    def _with_places(self, places: Sequence[int]) -> Tagger:
        if not places:
            raise ConfigError("no tag is left to ask for: leave fewer of them out.")
        tags = [self.tags[place] for place in places]
        return type(self)(self.model, tags, self.labels.select(places))

    def with_thresholds(self, thresholds: Thresholds) -> Tagger:
        """Returns a tagger with other thresholds: one for all, one for each, or a text file.

        Raises:
            CheckpointError: If the file cannot be read.
            ConfigError: If there are more or fewer than tags, or one lies outside [0, 1].
        """
        limits = with_threshold(thresholds, len(self.tags))
        tags = [replace(tag, threshold=limit) for tag, limit in zip(self.tags, limits, strict=True)]
        return type(self)(self.model, tags, self.labels)

    # --- Words of one's own -----------------------------------------------------------------------

    def with_words(
        self,
        words: NameList,
        encoder: TextEncoder,
        *,
        templates: NameList | None = None,
        threshold: float = OWN_THRESHOLD,
        keep: bool = False,
    ) -> Tagger:
        """Returns a tagger for any words.

        Args:
            words: The words, or a text file with one a line.
            encoder: The CLIP text encoder that the weights were trained with (ViT-B/16).
            templates: Sentences to put a word into, as `lisa.tagging.vocabulary` describes, or a
                text file with one a line; None takes a few of our own.
            threshold: Of the words.
            keep: Keep the present tags too; a word takes the place of a tag of the same name.

        Raises:
            CheckpointError: If the list cannot be read.
            ConfigError: If there are no words, the model takes none, or the encoder does not fit.
        """
        names = own_words(words)
        model = self._open_model(encoder)
        embeddings = ensemble(names, encoder, templates, average=not model.weighs_texts)
        return self._with_labels(names, (embeddings,), threshold, keep)

    def with_descriptions(
        self,
        descriptions: str | Path | Sequence[dict[str, Sequence[str]]],
        encoder: TextEncoder,
        *,
        threshold: float = OWN_THRESHOLD,
        keep: bool = False,
    ) -> Tagger:
        """Returns a tagger for words that are described by sentences.

        The "plus" model weighs the sentences of a word by the picture; for the other one they are
        averaged.

        Args:
            descriptions: A JSON file, or what it holds: a list of {word: [sentence, ...]}.
            encoder: As `with_words` takes it.
            threshold: Of the words.
            keep: As `with_words` takes it.

        Raises:
            CheckpointError: If the file cannot be read.
            ConfigError: If it describes nothing, the model takes no words, or the encoder does not
                fit.
        """
        model = self._open_model(encoder)
        names, blocks = describe_words(descriptions, encoder, average=not model.weighs_texts)
        return self._with_labels(names, blocks, threshold, keep)

    def require_any_words(self) -> OpenVocabularyModel:
        """Returns the model if any word can be a tag of it.

        Raises:
            ConfigError: If it knows only the tags that it was trained with.
        """
        if not isinstance(self.model, OpenVocabularyModel):
            raise ConfigError(
                "this model knows only the tags that it was trained with: use "
                "ram_plus_swin_large_14m.pth or ram_swin_large_14m.pth for words of your own."
            )
        return self.model

    def _open_model(self, encoder: TextEncoder) -> OpenVocabularyModel:
        model = self.require_any_words()
        if encoder.width != model.config.label_width:
            raise ConfigError(
                f"the text encoder gives {encoder.width} numbers a text and the tagger reads "
                f"{model.config.label_width}: give the text encoder of CLIP ViT-B/16."
            )
        return model

    def _with_labels(
        self, names: Sequence[str], blocks: tuple[Tensor, ...], threshold: float, keep: bool
    ) -> Tagger:
        limits = with_threshold(threshold, len(names))
        tags = [TagInfo(name, limit) for name, limit in zip(names, limits, strict=True)]
        like = self.model.own_labels().blocks[0]
        labels = Labels(tuple(block.to(like) for block in blocks))
        new = set(names)
        kept = [place for place, tag in enumerate(self.tags) if tag.name not in new]
        if keep and kept:
            present = self if len(kept) == len(self.tags) else self._with_places(kept)
            tags, labels = [*present.tags, *tags], present.labels.followed_by(labels)
        return type(self)(self.model, tags, labels)

    # --- Keeping ----------------------------------------------------------------------------------

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes a folder that `from_pretrained` reads, with the tags of this tagger.

        Raises:
            CheckpointError: If the folder holds files already.
            ConfigError: If the tags are described by different numbers of texts.
        """
        counts = {block.shape[1] for block in self.labels.blocks}
        if len(counts) > 1:
            raise ConfigError(
                "tags with different numbers of texts cannot be saved together "
                f"({', '.join(map(str, sorted(counts)))}): save a tagger of one kind of tags."
            )
        config = replace(self.model.config, num_tags=len(self.tags), texts_per_tag=counts.pop())
        target = Path(folder)
        try:
            save_model(self.model, config, self.model.label_weights(self.labels), target)
            write_json(target / TAGS_FILE, describe_tags(self.tags))
        except OSError as error:
            raise CheckpointError(f"{folder} cannot be written ({error}).") from error


def check_list(images: object) -> None:
    """Refuses one picture where a list of pictures belongs: a path would be read letter by letter.

    Raises:
        ConfigError: If it is one picture.
    """
    if isinstance(images, str | Path | bytes | Image.Image | np.ndarray):
        raise ConfigError("one picture was given: give a list of pictures, such as [picture].")
