"""How the learning rate goes over a run, as a share of its peak."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["linear", "cosine", "constant"]


def learning_rate_share(
    step: int, steps: int, warmup: int, schedule: Schedule = "cosine", final: float = 0.0
) -> float:
    """Return the share of the peak learning rate that a step learns with.

    Args:
        step: From 0.
        steps: Of the run.
        warmup: Steps over which it rises in equal parts; the last of them has the peak.
        schedule: How it falls behind the warm-up.
        final: Share that it falls to.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    left = {"linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done)), "constant": 1.0}
    return final + (1 - final) * left[schedule]
