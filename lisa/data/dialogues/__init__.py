"""Generated dialogues in which the assistant calls tools and uses what they answer."""

from lisa.data.dialogues.generate import Dialogue, make_dialogue
from lisa.data.dialogues.state import DialogueTurn, SceneFacts
from lisa.data.dialogues.tools import TRAINED_TOOLS

__all__ = ["TRAINED_TOOLS", "Dialogue", "DialogueTurn", "SceneFacts", "make_dialogue"]
