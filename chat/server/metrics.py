"""What the server counts, in the form that Prometheus reads."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)
_METHODS = frozenset({"GET", "POST", "OPTIONS", "HEAD"})


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._requests = Counter(
            "lisa_requests_total",
            "Answers by status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._inside = Gauge(
            "lisa_requests_inside", "Requests that wait or are worked on.", registry=registry
        )
        self._turns = Counter(
            "lisa_turns_total",
            "Answered questions by how they ended.",
            ["ending"],
            registry=registry,
        )
        self._turn_seconds = Histogram(
            "lisa_turn_seconds",
            "From a question's arrival to its answer's end.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._tools = Counter(
            "lisa_tool_calls_total", "Calls of tools.", ["tool", "result"], registry=registry
        )
        self._tokens = Counter(
            "lisa_tokens_total",
            "Tokens that the model read and wrote.",
            ["kind"],
            registry=registry,
        )
        self._rows = Histogram(
            "lisa_batch_rows",
            "Conversations that were answered at once.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "lisa_batch_seconds",
            "Time of the model for one batch.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._kept = Gauge(
            "lisa_kept_conversations", "Conversations that are remembered.", registry=registry
        )  # fmt: skip

    def text(self) -> bytes:
        """Return all of them."""
        return generate_latest(self._registry)

    def answered(self, method: str, route: str, status: int) -> None:
        """Count an answer; methods that nobody has are one."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()

    def inside(self, count: int) -> None:
        """Note how many requests wait or are worked on."""
        self._inside.set(count)

    def turn(self, ending: str, seconds: float, read: int, written: int) -> None:
        """Count an answered question.

        Args:
            ending: Of `chat.steps.Ending`.
            seconds: From its arrival on.
            read: Tokens that the model read for it.
            written: Tokens that it wrote.
        """
        self._turns.labels(ending).inc()
        self._turn_seconds.observe(seconds)
        self._tokens.labels("read").inc(read)
        self._tokens.labels("written").inc(written)

    def tool(self, name: str, is_error: bool) -> None:
        """Count a call of one of our own tools."""
        self._tools.labels(name, "error" if is_error else "ok").inc()

    def batch(self, rows: int, seconds: float) -> None:
        """Count a batch of the model."""
        self._rows.observe(rows)
        self._batch_seconds.observe(seconds)

    def kept(self, count: int) -> None:
        """Note how many conversations are remembered."""
        self._kept.set(count)
