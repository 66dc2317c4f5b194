"""Conversations as the text and the token ids that a model was trained on.

A template turns a `Conversation` into one string; weights depend on its every character, so the
wordings here are facts of the published checkpoints. Control tokens in the text of messages are
honoured: whoever takes text from a user breaks them first, with `escape_control_tokens`.
"""

from lisa.prompts.encode import SupervisedIds, encode_prompt, encode_training, image_placeholder
from lisa.prompts.registry import OWN_CHAT, default_template, get_template
from lisa.prompts.template import Piece, Template
from lisa.prompts.turn_templates import TEMPLATES

__all__ = [
    "OWN_CHAT",
    "TEMPLATES",
    "Piece",
    "SupervisedIds",
    "Template",
    "default_template",
    "encode_prompt",
    "encode_training",
    "get_template",
    "image_placeholder",
]
