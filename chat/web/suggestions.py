"""Questions that somebody could ask next, for those who do not know yet what can be asked."""

from __future__ import annotations

from chat.state import SessionState

FIRST = (
    "What is in the picture?",
    "Which of these could I eat?",
    "How do the things relate?",
    "Describe the picture.",
)
"""About a picture of which nothing is known."""


def suggestions(state: SessionState) -> list[str]:
    """Return questions for the next turn, about the newest segment where there is one."""
    if not state.picture:
        return []
    here = [one for one in state.segments if one.picture == state.picture]
    asked = {turn.question for turn in state.turns if turn.picture == state.picture}
    wanted = list(FIRST)
    if here:
        name = here[-1].name
        about = (f"What is left of {name}?", f"How large is {name}?", f"Make {name} bigger.")
        wanted = [*about, *wanted]
        if state.pointed:
            wanted.insert(0, f"What is {name}?")
    return [one for one in wanted if one not in asked][:4]
