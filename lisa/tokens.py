"""The one place where control tokens and the ignored label are spelt.

Every other file imports these names. The strings are facts of the published checkpoints: they stand
in their `added_tokens.json`, and weights were trained on them.
"""

from __future__ import annotations

from typing import Final

SEG_TOKEN: Final = "[SEG]"
"""Stands in an answer for a mask."""

REJECT_TOKEN: Final = "[REJ]"
"""Stands in an answer for "not in the picture" (GSVA); released LISA checkpoints lack it."""

IMAGE_TOKEN: Final = "<image>"
"""Stands in a prompt for one picture; the processor expands it to the picture's image tokens."""

IMAGE_START_TOKEN: Final = "<im_start>"
"""Stands before a picture, in checkpoints whose vocabulary has it."""

IMAGE_END_TOKEN: Final = "<im_end>"
"""Stands after a picture, in checkpoints whose vocabulary has it."""

TOOL_CALL_START: Final = "<tool_call>"
"""Stands before a call of a tool in an answer, as Hermes and Qwen write it; plain letters to most
vocabularies."""

TOOL_CALL_END: Final = "</tool_call>"
"""Stands behind it."""

IGNORE_INDEX: Final = -100
"""Label of a position that is not supervised (the default of torch's cross entropy)."""
