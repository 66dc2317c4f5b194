"""How much a stranger may send; every face asks here."""

from __future__ import annotations

from dataclasses import dataclass

from lisa.errors import PromptError


@dataclass(frozen=True)
class SafetyLimits:
    """Upper bounds for what comes from outside.

    Attributes:
        upload_bytes: Of one picture file, as it is stored.
        pixels: Of one picture, by its header.
        side: Pixels of the longer side of one picture.
        scans: Passes over the picture that a progressive JPEG may need.
        turn_characters: Of one question.
        pictures_per_request: In one request.
        request_bytes: Of the whole body of one request; pictures in it are a third longer than
            their files, because they are base64.
        fetch_seconds: From the first look-up of an address to its last byte, redirects included.
        redirects: That are followed from one address.
    """

    upload_bytes: int = 20_000_000
    pixels: int = 40_000_000
    side: int = 12_000
    scans: int = 200
    turn_characters: int = 8_000
    pictures_per_request: int = 8
    request_bytes: int = 40_000_000
    fetch_seconds: float = 10.0
    redirects: int = 3

    def check_turn(self, text: str) -> None:
        """Refuse a question that is too long.

        Raises:
            PromptError: If it has more than `turn_characters`.
        """
        if len(text) > self.turn_characters:
            raise PromptError(
                f"the question has {len(text):,} characters, above the limit of "
                f"{self.turn_characters:,}: ask in fewer words."
            )
