"""Writes a sentence about a picture from its tags (Tag2Text, arXiv 2303.05657).

captioner = Captioner.from_pretrained("tag2text_swin_14m.pth")
print(captioner([picture])[0].text)
print(captioner([picture], tags=[["dog", "sofa"]])[0].text)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lisa.devices import choose_device, choose_dtype
from lisa.errors import CheckpointError, ConfigError
from lisa.images import ImageSource, open_image
from lisa.tagging.caption_words import CaptionWords
from lisa.tagging.checkpoint import find_files, load_model
from lisa.tagging.tagger import Tagger, check_list
from lisa.tagging.tags import NameList, Thresholds, left_out_of_captions
from lisa.tagging.text_models import read_tags


@dataclass(frozen=True)
class BeamSearch:
    """Looks for the likeliest caption.

    Attributes:
        beams: Captions that are followed at once.
        min_length: Shortest caption in tokens, the five of "a picture of" and its mark included.
        max_length: Longest caption in tokens, counted likewise.
        repetition_penalty: Above 1 makes words that were said before less likely.
    """

    beams: int = 3
    min_length: int = 10
    max_length: int = 30
    repetition_penalty: float = 1.0


@dataclass(frozen=True)
class NucleusSampling:
    """Draws a caption from the likely ones (Holtzman et al. 2019, arXiv 1904.09751).

    Attributes:
        top_p: Words are drawn from the likeliest that have this probability together.
        seed: The same seed draws the same caption for a picture, whatever else is captioned.
        min_length: As of `BeamSearch`.
        max_length: As of `BeamSearch`.
        repetition_penalty: As of `BeamSearch`.
    """

    top_p: float = 0.9
    seed: int = 0
    min_length: int = 10
    max_length: int = 30
    repetition_penalty: float = 1.1


@dataclass(frozen=True)
class Caption:
    """A sentence about a picture.

    Attributes:
        text: The sentence.
        tags: The tags that it was written from.
    """

    text: str
    tags: tuple[str, ...]


class Captioner:
    """A Tag2Text model with its text models.

    Attributes:
        tagger: Finds the tags where none are given.
        words: The vocabulary of the captions.
        left_out: Places of the tag list that never go into a caption.
    """

    def __init__(
        self, tagger: Tagger, words: CaptionWords, left_out: Sequence[int] | None = None
    ) -> None:
        text = tagger.model.config.text
        if text is None or text.vocabulary != len(words):
            known = "no" if text is None else text.vocabulary
            raise CheckpointError(
                f"The model has {known} words and the vocabulary {len(words)}: give the vocab.txt "
                "that belongs to the weights."
            )
        self.tagger = tagger
        self.words = words
        count = len(tagger.tags)
        self.left_out = frozenset(left_out_of_captions(count) if left_out is None else left_out)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        tag_list: NameList | None = None,
        thresholds: Thresholds | None = None,
        vocabulary: str | Path | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        revision: str | None = None,
        offline: bool = False,
    ) -> Captioner:
        """Loads a captioner.

        Args:
            name_or_path: `tag2text_swin_14m.pth`, its folder or hub id, or a folder saved by
                `save_pretrained`.
            tag_list: As `Tagger.from_pretrained` takes it.
            thresholds: As `Tagger.from_pretrained` takes it.
            vocabulary: `vocab.txt` of bert-base-uncased; None looks beside the weights, then on the
                hub.
            device: As `lisa.devices.choose_device` takes it.
            dtype: As `lisa.devices.choose_dtype` takes it.
            revision: Branch, tag or commit on the hub.
            offline: Use only what was downloaded before.

        Raises:
            CheckpointError: If weights, lists or the vocabulary are missing, or write no captions.
            ConfigError: If a list has another length.
            DeviceError: If there is no such device.
        """
        files = find_files(name_or_path, revision, offline)
        chosen = choose_device(device)
        words = CaptionWords.find(vocabulary, files.folder, offline)
        model = load_model(files, with_text=True, dtype=choose_dtype(dtype, chosen), device=chosen)
        return cls(Tagger.named(model, files, tag_list, thresholds), words)

    def __call__(
        self,
        images: Sequence[ImageSource],
        tags: Sequence[Sequence[str]] | None = None,
        search: BeamSearch | NucleusSampling | None = None,
        *,
        batch_size: int = 8,
    ) -> list[Caption]:
        """Returns a caption for each picture; it does not depend on the others.

        Args:
            images: Pictures, as `lisa.images.open_image` takes them.
            tags: For each picture the tags to write from, in any words; None takes those that the
                model finds.
            search: How the caption is looked for; None is `BeamSearch()`.
            batch_size: Pictures that are captioned together.

        Raises:
            ImageError: If a picture cannot be opened.
            ConfigError: If there is one picture, another number of tag lists than pictures, or no
                tag list where the captioner knows no tags.
        """
        check_list(images)
        if tags is not None and len(tags) != len(images):
            raise ConfigError(
                f"{len(tags)} lists of tags were given for {len(images)} pictures: give one each."
            )
        if tags is None and not self.tagger.tags:
            raise ConfigError("the captioner knows no tags of its own: give tags for each picture.")
        search = BeamSearch() if search is None else search
        self._check_length(search.max_length)
        captions: list[Caption] = []
        for start in range(0, len(images), max(1, batch_size)):
            stop = start + max(1, batch_size)
            opened = [open_image(image) for image in images[start:stop]]
            tokens = self.tagger.encode(opened)
            lists = self.find_tags(tokens) if tags is None else tags[start:stop]
            texts = self.write(self.read_tags(tokens, lists), search)
            captions += [
                Caption(text, tuple(names)) for text, names in zip(texts, lists, strict=True)
            ]
        return captions

    def find_tags(self, tokens: Tensor) -> list[list[str]]:
        """Returns the tags to write from, for image tokens (B, 1 + P, D)."""
        return [
            [
                tag.name
                for place, (tag, probability) in enumerate(
                    zip(self.tagger.tags, row.tolist(), strict=True)
                )
                if probability > tag.threshold and place not in self.left_out
            ]
            for row in self.tagger.probabilities_of_tokens(tokens)
        ]

    @torch.inference_mode()
    def read_tags(self, tokens: Tensor, tags: Sequence[Sequence[str]]) -> Tensor:
        """Returns the states (B, 40, D) of tags that were read while looking at the picture."""
        ids, mask = self.words.encode_tags(tags)
        return read_tags(self.tagger.model.tag_encoder, tokens, ids, mask)

    def write(self, states: Tensor, search: BeamSearch | NucleusSampling) -> list[str]:
        """Returns the caption of each picture, for what `read_tags` returned."""
        return [self.words.decode(ids) for ids in self.write_ids(states, search)]

    @torch.inference_mode()
    def write_ids(self, states: Tensor, search: BeamSearch | NucleusSampling) -> list[list[int]]:
        """Returns what `write` does as token ids, prompt and marks included."""
        if isinstance(search, BeamSearch):
            return self._generate(states, search, {"num_beams": search.beams, "do_sample": False})
        rows = []
        for state in states.split(1):
            # One by one: what is drawn for a picture must not depend on the others.
            devices = [state.device] if state.device.type == "cuda" else []
            with torch.random.fork_rng(devices):
                torch.manual_seed(search.seed)
                sampling = {"do_sample": True, "top_p": search.top_p, "top_k": 0}
                rows += self._generate(state, search, sampling)
        return rows

    def _generate(
        self, states: Tensor, search: BeamSearch | NucleusSampling, how: dict[str, Any]
    ) -> list[list[int]]:
        prompt = torch.tensor([self.words.prompt()] * states.shape[0], device=states.device)
        # The states go in once per picture: transformers repeats them for the beams itself. Padded
        # places among them are seen, as they were in training.
        writer: Any = self.tagger.model.text_decoder
        sequences: Tensor = writer.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            encoder_hidden_states=states,
            min_length=search.min_length,
            max_length=search.max_length,
            repetition_penalty=search.repetition_penalty,
            eos_token_id=self.words.end,
            pad_token_id=self.words.padding,
            bos_token_id=self.words.caption_start,
            **how,
        )
        rows: list[list[int]] = sequences.tolist()
        return rows

    def _check_length(self, length: int) -> None:
        text = self.tagger.model.config.text
        assert text is not None
        prompt = len(self.words.prompt())
        if not prompt < length <= text.positions:
            raise ConfigError(
                f"a caption of at most {length} tokens was asked for: choose {prompt + 1} to "
                f"{text.positions}."
            )

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes a folder that `from_pretrained` of this class and of `Tagger` reads.

        Raises:
            CheckpointError: If the folder holds files already.
        """
        self.tagger.save_pretrained(folder)
        self.words.save(Path(folder))
