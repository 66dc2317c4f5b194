"""What carries picture features into the language model: the backbone's projector or another.

To add one: write a module that maps (B, P, vision width) to (B, P, D) and register its builder
here.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from transformers import PreTrainedConfig

from lisa.errors import ConfigError

ProjectorBuilder = Callable[[PreTrainedConfig], nn.Module | None]

PROJECTORS: dict[str, ProjectorBuilder] = {}


def register_projector(name: str) -> Callable[[ProjectorBuilder], ProjectorBuilder]:
    """Enter a builder in `PROJECTORS`; it returns None to keep the backbone's own projector."""

    def enter(builder: ProjectorBuilder) -> ProjectorBuilder:
        PROJECTORS[name] = builder
        return builder

    return enter


def build_projector(name: str, backbone_config: PreTrainedConfig) -> nn.Module | None:
    """Build the projector called `name`, or return None if the backbone keeps its own.

    Raises:
        ConfigError: If no projector has that name.
    """
    if name not in PROJECTORS:
        raise ConfigError(
            f"There is no projector {name!r}: choose one of {', '.join(sorted(PROJECTORS))}."
        )
    return PROJECTORS[name](backbone_config)


class LinearProjector(nn.Module):
    """One linear layer, as in the first LLaVA and in released LISA v1 checkpoints."""

    def __init__(self, vision_width: int, language_width: int) -> None:
        """Build the layer; widths are those of the vision tower and of the language model."""
        super().__init__()
        self.linear = nn.Linear(vision_width, language_width)

    def forward(self, image_features: Tensor) -> Tensor:
        """Map features (B, P, vision width) to image tokens (B, P, D)."""
        projected: Tensor = self.linear(image_features)
        return projected


@register_projector("backbone")
def _keep_own(backbone_config: PreTrainedConfig) -> None:
    return None


@register_projector("linear")
def _build_linear(backbone_config: PreTrainedConfig) -> nn.Module:
    return LinearProjector(
        backbone_config.vision_config.hidden_size, backbone_config.get_text_config().hidden_size
    )
