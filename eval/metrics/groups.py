"""Groups of pictures that are all asked for the same thing, which some of them show (GRD, D3).

Beside the masks it counts whether a system says rightly which pictures hold the thing at all: a
picture is taken for one that does if the answer's mask has a pixel that counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from eval.metrics.bootstrap import (
    Measurement,
    Ratio,
    from_ratios,
    in_order,
    mean_over,
    with_intervals,
)
from eval.metrics.figures import Figure
from eval.metrics.masks import MaskRecord


@dataclass(frozen=True)
class GroupRecord:
    """One picture of a group, asked for one expression.

    Attributes:
        mask: The question and its answer; an expression whose right mask has no pixel that counts
            is not in the picture.
        group: The group of pictures. Its pictures are drawn together.
        expression: What the pictures are asked for.
    """

    mask: MaskRecord
    group: str
    expression: str

    @property
    def key(self) -> str:
        """The question's key."""
        return self.mask.key

    @property
    def shown(self) -> bool:
        """Whether the answer says that the picture holds the thing."""
        return self.mask.predicted_pixels > 0

    @property
    def right(self) -> bool:
        """Whether that is so, or is rightly denied."""
        return self.shown == self.mask.targeted


def group_figures(records: Iterable[GroupRecord], seed: int = 0) -> tuple[Figure, ...]:
    """Return the figures of `group_measurement` with their intervals."""
    return with_intervals(group_measurement(records), seed)


def group_measurement(records: Iterable[GroupRecord]) -> Measurement:
    """Measure how well pictures that hold the thing are told from those that do not.

    `accuracy`, `precision`, `recall` and `F1` are over all pictures of all groups and expressions;
    `groups entirely right` is the share of the pairs of a group and an expression without a wrong
    picture; `mIoU (pictures with the target)` the mean IoU where there is a target.

    Raises:
        DataError: If a question is there twice.
    """
    kept = in_order(records)
    targeted = np.array([one.mask.targeted for one in kept], bool)
    shown = np.array([one.shown for one in kept], bool)
    hits = (targeted & shown).astype(np.float64)
    both = targeted.astype(np.float64) + shown
    ratios = [
        mean_over("accuracy", targeted == shown),
        mean_over("precision", targeted, shown),
        mean_over("recall", shown, targeted),
        Ratio("F1", 2 * hits, both, int((targeted | shown).sum())),
        _entirely_right(kept),
        mean_over(
            "mIoU (pictures with the target)", [one.mask.counts.iou for one in kept], targeted
        ),
    ]
    return from_ratios([one.key for one in kept], [one.group for one in kept], ratios)


def _entirely_right(records: list[GroupRecord]) -> Ratio:
    """The share of right pairs, each counted at the first of its pictures."""
    first: dict[tuple[str, str], int] = {}
    wrong: set[tuple[str, str]] = set()
    for number, one in enumerate(records):
        first.setdefault((one.group, one.expression), number)
        if not one.right:
            wrong.add((one.group, one.expression))
    asked = np.zeros(len(records), bool)
    asked[list(first.values())] = True
    right = [(one.group, one.expression) not in wrong for one in records]
    return mean_over("groups entirely right", right, asked)
