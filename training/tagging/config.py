"""What decides how a tagger is trained; `training/tagging/example.yaml` is an example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lisa.errors import ConfigError
from lisa.settings import build_settings, override, read_yaml


@dataclass(frozen=True)
class TaggingSettings:
    """A run of the optimiser over pictures of one's own.

    Attributes:
        pictures: JSON lines of pictures, tags and captions (`training.tagging.records`).
        output: Folder of the run; the tagger goes into `model` inside it.
        start: Where the weights come from: "lisa-nano", a released file, or a saved folder.
        vocabulary: List of tags to learn, as `python -m training.tagging parse` writes it; null
            takes all tags of the pictures, the most frequent first.
        encoder: Whether the picture's encoder learns too. A tower that is shared with a LISA model
            never does.
        captions: Whether the text models of the start learn to write the captions. Only of
            tag2text_swin_14m.pth and ram_swin_large_14m.pth.
        bert_vocabulary: `vocab.txt` of bert-base-uncased; null looks beside the weights, then on
            the hub.
        clip: A CLIP, folder or hub id. It turns new tags into embeddings, and the mean image token
            learns to be its embedding of the picture. Only of the Recognize Anything models.
        gamma_negative: Of the asymmetric loss; published runs have 7.
        steps: Of the optimiser.
        batch: Pictures a step.
        learning_rate: Peak; reached after `warmup` steps, then a cosine down to 2 % of it.
        warmup: Steps of linear warm-up.
        seed: Of the order of the pictures and of fresh weights.
        held_out: One picture in so many is kept from learning; thresholds are chosen on these.
        device: As `lisa.devices.choose_device` takes it.
        offline: Use only what is on this machine.
    """

    pictures: Path
    output: Path
    start: str = "lisa-nano"
    vocabulary: Path | None = None
    encoder: bool = False
    captions: bool = False
    bert_vocabulary: Path | None = None
    clip: str | None = None
    gamma_negative: float = 7.0
    steps: int = 1000
    batch: int = 16
    learning_rate: float = 1e-4
    warmup: int = 50
    seed: int = 0
    held_out: int = 10
    device: str = "auto"
    offline: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        if min(self.steps, self.batch) < 1 or self.held_out < 2:
            raise ConfigError("steps and batch must be 1 or more, held_out 2 or more.")

    @property
    def reads_captions(self) -> bool:
        """Whether every picture needs a caption."""
        return self.captions or self.clip is not None


def read_settings(path: Path, words: Sequence[str] = ()) -> TaggingSettings:
    """Read a YAML file with `name=value` words applied.

    Raises:
        ConfigError: Naming every setting that is unknown, missing or of a wrong type.
    """
    return build_settings(TaggingSettings, override(read_yaml(path), words), str(path))
