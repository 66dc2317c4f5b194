"""How often an answer points at all, and how often at something that is not there.

They belong beside every score of masks: a model that has forgotten to emit `[SEG]` and one that
draws bad masks have the same gIoU, and want different cures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eval.metrics.iou import PixelCounts


@dataclass(frozen=True)
class PointingScores:
    """Shares over a group of answers.

    Attributes:
        emission: Share, in [0, 1], of the questions about things that are there whose answer holds
            a `[SEG]`; None without such questions.
        false_positives: Share, in [0, 1], of the questions about things that are not there whose
            answer has a mask with pixels; None without such questions.
        present: Questions about things that are there.
        absent: Questions about things that are not.
    """

    emission: float | None
    false_positives: float | None
    present: int
    absent: int


def score_pointing(answers: Iterable[tuple[PixelCounts, int]]) -> PointingScores:
    """Score a group of answers.

    Args:
        answers: Of each, what its mask shares with the right one, and its number of `[SEG]`. A
            thing whose right mask has no pixel that counts is not there.
    """
    kept = list(answers)
    emitted = [pointed > 0 for counts, pointed in kept if counts.target]
    drawn = [counts.union > 0 for counts, _ in kept if not counts.target]
    return PointingScores(_share(emitted), _share(drawn), len(emitted), len(drawn))


def _share(found: list[bool]) -> float | None:
    return sum(found) / len(found) if found else None
