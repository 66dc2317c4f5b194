"""One run: reads pictures, trains, chooses thresholds, writes a tagger."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lisa.devices import choose_device
from lisa.errors import ConfigError, DataError
from lisa.images import open_image
from lisa.tagging import Captioner, Tagger, TagInfo, TextEncoder, find_files, load_model
from lisa.tagging.caption_words import CaptionWords
from lisa.tagging.checkpoint import TaggingFiles
from lisa.tagging.models import OpenVocabularyModel, TaggingModel
from lisa.tagging.tagger import OWN_THRESHOLD
from lisa.tagging.tags import TAGS_FILE, read_saved_tags
from training.loop import RunSettings, StepReport, run
from training.nano.corpus import batches
from training.tagging.clip_pictures import PictureEmbedder
from training.tagging.config import TaggingSettings
from training.tagging.labels import labels_for
from training.tagging.objectives import Objectives, PictureBatch
from training.tagging.records import TaggedPicture, read_pictures, read_vocabulary
from training.tagging.save import write_over
from training.tagging.thresholds import choose_thresholds

MODEL = "model"


@dataclass(frozen=True)
class _Data:
    """What a run reads.

    Attributes:
        learned: Pictures to learn from.
        held_out: Pictures that thresholds are chosen on.
        vocabulary: Names and categories of the tags.
    """

    learned: tuple[TaggedPicture, ...]
    held_out: tuple[TaggedPicture, ...]
    vocabulary: tuple[tuple[str, str | None], ...]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.vocabulary]

    def shown(self, pictures: Sequence[TaggedPicture]) -> Tensor:
        """Return which tags pictures have, bool (B, C)."""
        return torch.tensor([[name in one.tags for name in self.names] for one in pictures])


def train(settings: TaggingSettings) -> Path:
    """Train a tagger; an interrupted run goes on, a finished one only writes its model again.

    Returns:
        The folder of the tagger, which `Tagger.from_pretrained` reads.

    Raises:
        LisaError: For what is wrong with settings, pictures or weights.
    """
    data = _read_data(settings)
    device = choose_device(settings.device)
    files = find_files(settings.start, offline=settings.offline)
    model = load_model(files, with_text=settings.captions, dtype=torch.float32, device=device)
    texts = _text_encoder(settings, model, device)
    objectives = _objectives(settings, model, files, texts)
    model.relabel(labels_for(model, data.names, _known(files), texts, settings.seed))

    def loss_of(indices: Sequence[int], step: int) -> StepReport:
        # Dropout and the choice of captions follow from the step, so that a resumed run is exact.
        torch.manual_seed(settings.seed * 1_000_003 + step)
        chosen = [data.learned[index] for index in indices]
        return objectives(model, _batch(data, chosen, step if settings.reads_captions else None))

    model.train(True)
    order = batches(len(data.learned), settings.batch, settings.steps, settings.seed)
    speed = (settings.steps, settings.learning_rate, settings.warmup)
    run(
        RunSettings("tagging", settings.output, *speed),
        _learning(model, settings.encoder),
        order,
        loss_of,
    )
    model.train(False)
    tagger = _with_thresholds(model, data)
    words = objectives.words
    write_over(
        tagger.save_pretrained if words is None else Captioner(tagger, words).save_pretrained,
        settings.output / MODEL,
    )
    return settings.output / MODEL


def _read_data(settings: TaggingSettings) -> _Data:
    pictures = read_pictures(settings.pictures)
    if settings.vocabulary is not None:
        vocabulary = read_vocabulary(settings.vocabulary)
    else:
        counts = Counter(name for one in pictures for name in one.tags)
        vocabulary = tuple((name, None) for name, _ in counts.most_common())
    if not vocabulary:
        raise DataError(
            f"No picture of {settings.pictures} has a tag: write tags out of its captions with "
            "`python -m training.tagging parse`."
        )
    learned = tuple(one for i, one in enumerate(pictures) if (i + 1) % settings.held_out)
    held_out = tuple(pictures[settings.held_out - 1 :: settings.held_out])
    silent = [one.image for one in learned if settings.reads_captions and not one.captions]
    if silent:
        raise DataError(
            f"{silent[0]} has no caption, and {len(silent)} pictures have none: add them, or set "
            "captions to false and leave clip out."
        )
    return _Data(learned, held_out, vocabulary)


def _text_encoder(
    settings: TaggingSettings, model: TaggingModel, device: torch.device
) -> TextEncoder | None:
    if settings.clip is None:
        return None
    if not isinstance(model, OpenVocabularyModel):
        raise ConfigError(
            f"{settings.start} does not know its tags by text embeddings, so clip has no use: "
            "leave it out."
        )
    return TextEncoder.from_pretrained(
        settings.clip, device=device, dtype=torch.float32, offline=settings.offline
    )


def _objectives(
    settings: TaggingSettings, model: TaggingModel, files: TaggingFiles, texts: TextEncoder | None
) -> Objectives:
    words, pictures = None, None
    if settings.captions:
        words = CaptionWords.find(settings.bert_vocabulary, files.folder, settings.offline)
    if settings.clip is not None:
        pictures = PictureEmbedder.from_pretrained(settings.clip, model.device, settings.offline)
    aligned = isinstance(model, OpenVocabularyModel) and model.weighs_texts
    return Objectives(settings.gamma_negative, words, pictures, texts if aligned else None)


def _known(files: TaggingFiles) -> list[str]:
    """Returns the names of the start's own tags where they are told beside the weights."""
    saved = (files.folder / TAGS_FILE).is_file()
    return [tag.name for tag in read_saved_tags(files.folder)] if saved else []


def _learning(model: TaggingModel, encoder: bool) -> dict[str, Tensor]:
    """Names what learns; text embeddings of tags stay, as published."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    fixed = ["label_embed"] if isinstance(model, OpenVocabularyModel) else []
    for name, parameter in model.named_parameters():
        kept = name in fixed or name in model.shared_names()
        if kept or (name.startswith("visual_encoder.") and not encoder):
            parameter.requires_grad_(False)
    return {name: one for name, one in model.named_parameters() if one.requires_grad}


def _batch(data: _Data, chosen: Sequence[TaggedPicture], step: int | None) -> PictureBatch:
    """Opens pictures and draws a caption of each; without a step none is drawn."""
    rng = random.Random(step)
    return PictureBatch(
        images=[open_image(one.image) for one in chosen],
        shown=data.shown(chosen),
        tags=[[name for name in data.names if name in one.tags] for one in chosen],
        captions=[] if step is None else [rng.choice(one.captions) for one in chosen],
    )


def _with_thresholds(model: TaggingModel, data: _Data) -> Tagger:
    """Chooses thresholds on the pictures that were kept from learning; 0.5 where there are none."""
    untold = Tagger(model, [TagInfo(name, OWN_THRESHOLD, kind) for name, kind in data.vocabulary])
    if not data.held_out:
        return untold
    rows = untold.probabilities([one.image for one in data.held_out])
    return untold.with_thresholds(
        choose_thresholds(rows.numpy(), data.shown(data.held_out).numpy())
    )
