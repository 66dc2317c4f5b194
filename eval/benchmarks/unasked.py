"""Pictures of benchmarks whose answers are no masks: nothing is asked in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eval.questions import Question, Truth
from lisa.errors import ConfigError
from lisa.images import open_image

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, eq=False)
class UnaskedPicture:
    """A picture without questions; see `eval.questions.Picture`.

    Attributes:
        key: As prediction files name it.
        file: Where it lies.
    """

    key: str
    file: Path

    @property
    def questions(self) -> tuple[Question, ...]:
        """Nothing is asked."""
        return ()

    def open(self) -> Image.Image:
        """Read the picture.

        Raises:
            ImageError: If it is missing or damaged.
        """
        return open_image(self.file)

    def truth_of(self, question: Question) -> Truth:
        """There is none to a question in words.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.key} belongs to a benchmark that asks nothing in words.")
