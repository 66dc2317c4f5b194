"""What a session and its turns may cost."""

from __future__ import annotations

from dataclasses import dataclass

from lisa.errors import PromptError


@dataclass(frozen=True)
class AgentLimits:
    """What a turn may cost.

    Attributes:
        max_steps: Most calls of tools, failed ones included.
        seconds: After these the turn ends with what it has.
        max_new_tokens: Most tokens of an answer or a call.
    """

    max_steps: int = 6
    seconds: float = 120.0
    max_new_tokens: int = 256


@dataclass(frozen=True)
class SessionLimits:
    """What a session takes.

    Attributes:
        question_characters: Of one question.
        pictures: Most pictures, those that tools made included.
        segments: Most named segments.
        agent: Of one turn.
    """

    question_characters: int = 8000
    pictures: int = 32
    segments: int = 1000
    agent: AgentLimits = AgentLimits()

    def check_question(self, question: str) -> None:
        """Refuse a question that is empty, too long, or no text.

        Raises:
            PromptError: It is.
        """
        if not question.strip():
            raise PromptError('the question is empty: ask something, such as "Segment the cup".')
        if len(question) > self.question_characters:
            raise PromptError(
                f"the question has {len(question):,} characters, and a turn takes at most "
                f"{self.question_characters:,}: ask a shorter one."
            )
        try:
            question.encode()
        except UnicodeEncodeError as error:
            raise PromptError(
                "the question holds halves of characters (surrogates): send it as valid Unicode."
            ) from error
