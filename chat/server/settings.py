"""How the server is set up."""

from __future__ import annotations

from dataclasses import dataclass, field

from chat.safety.hosts import LOCAL_HOSTS
from chat.safety.keys import ApiKey
from chat.safety.limits import SafetyLimits


@dataclass(frozen=True)
class ServerSettings:
    """What its owner decides.

    Attributes:
        name: What clients call the model.
        batch: Most questions that the model answers at once.
        waiting: Requests that may wait while others are worked on; the next one gets a 429.
        seconds: Deadline of a request, waiting included.
        drain_seconds: How long a stopping server lets requests finish.
        max_new_tokens: Most tokens of one answer.
        kept_conversations: Finished conversations that are remembered.
        kept_bytes: How much memory those may take.
        body_seconds: In which a request must have arrived, head and body each.
        write_seconds: For which a client may leave its answer unread.
        json_depth: Most brackets inside of each other in a request.
        json_structure_bytes: Of a request, what stands outside of quoted text.
        connections: Most clients at once.
        origins: Web pages that may call the server from a browser, such as
            "https://example.org"; none by default.
        hosts: Names by which clients may address the server; None for any. A web page can give its
            own name the address 127.0.0.1 and then ask as if it were local, so a server for this
            machine alone answers to local names only.
        key: What clients have to send; None for nothing.
        limits: On pictures and questions.
    """

    name: str = "lisa-nano"
    batch: int = 8
    waiting: int = 64
    seconds: float = 120.0
    drain_seconds: float = 60.0
    max_new_tokens: int = 256
    kept_conversations: int = 64
    kept_bytes: int = 512 << 20
    body_seconds: float = 30.0
    write_seconds: float = 60.0
    json_depth: int = 32
    json_structure_bytes: int = 2_000_000
    connections: int = 1000
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = LOCAL_HOSTS
    key: ApiKey | None = field(default=None, repr=False)
    limits: SafetyLimits = field(default_factory=SafetyLimits)

    @property
    def turns(self) -> int:
        """Requests that are worked on at once.

        While some are answered as one batch, as many others run their tools or gather for the next.
        """
        return 2 * self.batch
