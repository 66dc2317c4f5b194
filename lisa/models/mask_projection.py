"""From the language model to the segmenter: a `[SEG]` state becomes a prompt embedding."""

from __future__ import annotations

from torch import nn


def build_mask_projection(language_width: int, prompt_dim: int, dropout: float) -> nn.Sequential:
    """Build the two-layer perceptron of LISA (Lai et al. 2023, section 3.2).

    Args:
        language_width: Width D of the language model's states.
        prompt_dim: Width C of the segmenter's prompts.
        dropout: Probability at the end, in [0, 1).
    """
    return nn.Sequential(
        nn.Linear(language_width, language_width),
        nn.ReLU(),
        nn.Linear(language_width, prompt_dim),
        nn.Dropout(dropout),
    )
