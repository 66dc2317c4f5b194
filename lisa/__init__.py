"""An assistant that answers questions about pictures and shows its answers as masks.

The names below load their module on first use, so that `import lisa` costs milliseconds and needs
no torch: a command's `--help` and a data worker pay only for what they use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lisa.errors import LisaError
    from lisa.images import open_image
    from lisa.models import LisaConfig, LisaModel
    from lisa.pipeline import LisaPipeline
    from lisa.processor import LisaProcessor
    from lisa.types import Conversation, ImageSize, Message, Prediction, Segment

__version__ = "0.1.0"

_HOME_OF = {
    "Conversation": "lisa.types",
    "ImageSize": "lisa.types",
    "LisaConfig": "lisa.models",
    "LisaError": "lisa.errors",
    "LisaModel": "lisa.models",
    "LisaPipeline": "lisa.pipeline",
    "LisaProcessor": "lisa.processor",
    "Message": "lisa.types",
    "Prediction": "lisa.types",
    "Segment": "lisa.types",
    "open_image": "lisa.images",
}

__all__ = [
    "Conversation",
    "ImageSize",
    "LisaConfig",
    "LisaError",
    "LisaModel",
    "LisaPipeline",
    "LisaProcessor",
    "Message",
    "Prediction",
    "Segment",
    "__version__",
    "open_image",
]


def __getattr__(name: str) -> Any:
    """Imports the module that holds a public name when the name is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'lisa' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
