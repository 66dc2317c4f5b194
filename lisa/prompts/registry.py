"""The templates by name, and which one a released checkpoint was trained with."""

from __future__ import annotations

from pathlib import PurePath

from lisa.errors import ConfigError
from lisa.prompts.own_chat import OwnChat
from lisa.prompts.template import Template
from lisa.prompts.turn_templates import TEMPLATES
from lisa.tokenization import HubTokenizer, TextTokenizer

OWN_CHAT = "chat"
"""Name of the chat template that a tokenizer brings."""

# LISA's own commands use llava_v1 with all its checkpoints, those on LLaMA 2 included.
_TEMPLATE_OF_REPOSITORY = {
    "lisa-7b-v1": "llava_v1",
    "lisa-7b-v1-explanatory": "llava_v1",
    "lisa-13b-llama2-v1": "llava_v1",
    "lisa-13b-llama2-v1-explanatory": "llava_v1",
    "lisa_plus_7b": "vicuna_v1",
}
_TEMPLATE_OF_THE_REST = "llava_v1"


def get_template(name: str, tokenizer: TextTokenizer | None = None) -> Template:
    """Returns a template by its name.

    Args:
        name: Key of `TEMPLATES`, or `OWN_CHAT`.
        tokenizer: Of the model; only its own chat template needs it.

    Raises:
        ConfigError: If no template has this name, or the tokenizer brings none.
    """
    if name == OWN_CHAT and isinstance(tokenizer, HubTokenizer) and tokenizer.has_chat_template:
        return OwnChat(name, tokenizer)
    if name == OWN_CHAT:
        raise ConfigError(
            f"The tokenizer brings no chat template: choose one of {', '.join(sorted(TEMPLATES))}."
        )
    if name not in TEMPLATES:
        raise ConfigError(
            f'There is no template "{name}"; choose one of {", ".join(sorted(TEMPLATES))}.'
        )
    return TEMPLATES[name]


def default_template(name_or_path: str) -> str:
    """Returns the template's name for a released checkpoint, whose own files do not say it.

    Args:
        name_or_path: Hub id, a folder named like the repository, or the hub's own cache of it;
            other names get "llava_v1", which is what LISA's own programs assume.
    """
    for part in reversed(PurePath(name_or_path).parts):
        # The hub's cache calls its folders models--owner--name.
        repository = part.rpartition("--")[2].lower()
        if repository in _TEMPLATE_OF_REPOSITORY:
            return _TEMPLATE_OF_REPOSITORY[repository]
    return _TEMPLATE_OF_THE_REST
