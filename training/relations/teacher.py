"""The model's own average as its teacher: labels for relations that nobody wrote down.

Who annotates a picture says one thing of a pair where several are true, and nothing of most pairs.
The average of a model's weights over its steps (Tarvainen and Valpola 2017, "Mean teachers") knows
better than one step what is likely there; its probabilities become soft labels, as GRNet's labels
are (Wang et al. 2023, arXiv 2302.02651). What is annotated stays a label of 1.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from lisa.relations.classed_model import ClassedRelationModel
from lisa.relations.losses import label_of
from training.relations.examples import RelationBatch
from training.relations.recipe import TeacherSettings

_FIRST_STEPS = 10
"""In the beginning the average is over few steps: the weights that were drawn must not stay."""


class Teacher:
    """The average of a model's weights.

    Attributes:
        model: With the average; it never has gradients.
    """

    def __init__(self, student: ClassedRelationModel, settings: TeacherSettings) -> None:
        """Begin with the student's own weights."""
        self.model = copy.deepcopy(student).eval().requires_grad_(False)
        self._settings = settings

    def parameters(self) -> dict[str, Tensor]:
        """Return the average by name, for the state of a run."""
        return {f"average/{name}": value for name, value in self.model.named_parameters()}

    @torch.no_grad()
    def follow(self, student: ClassedRelationModel, step: int) -> None:
        """Take the student's weights after `step` steps into the average."""
        decay = min(self._settings.decay, (1 + step) / (_FIRST_STEPS + step))
        for mine, theirs in zip(self.model.parameters(), student.parameters(), strict=True):
            mine.lerp_(theirs.detach(), 1 - decay)

    def weight(self, step: int) -> float:
        """Return what a label of the teacher's counts at a step."""
        settings = self._settings
        since = step + 1 - settings.begins
        if since <= 0:
            return 0.0
        return settings.weight * min(1.0, since / max(1, settings.rises))

    @torch.no_grad()
    def labels(self, batch: RelationBatch, step: int) -> Tensor:
        """Return the target of a batch with the teacher's labels added.

        Returns:
            (B, R, N, N): 1 for what is annotated; elsewhere the teacher's probability times its
            weight; 0 for padding and for a segment with itself.
        """
        weight = self.weight(step)
        if not weight:
            return batch.target
        scores = self.model(batch.features, batch.classes, batch.whole, batch.is_segment)
        pairs = batch.is_segment[:, :, None] & batch.is_segment[:, None, :]
        pairs = pairs & ~torch.eye(pairs.shape[-1], dtype=torch.bool, device=pairs.device)
        said = weight * label_of(scores.float()) * pairs[:, None]
        return torch.maximum(batch.target, said)
