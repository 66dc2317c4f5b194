from __future__ import annotations

import io
import logging

import pytest

from chat.safety.keys import HIDDEN, KEY_VARIABLE, ApiKey, redact, redacted_logs
from lisa.errors import ConfigError

SECRET = "sk-correct-horse"


@pytest.mark.parametrize(
    ("header", "opens"),
    [
        (f"Bearer {SECRET}", True),
        (f"bearer {SECRET} ", True),
        (None, False),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        (SECRET, False),
        (f"Basic {SECRET}", False),
        (f"Bearer {SECRET}x", False),
        (f"Bearer {SECRET[:-1]}", False),
        (f"Bearer {SECRET} {SECRET}", False),
        (f"Bearer {SECRET}\udc80", False),
        ("Bearer \u00e4\u00f6", False),
    ],
)
def test_only_the_key_opens(header: str | None, opens: bool):
    assert ApiKey(SECRET).opens(header) is opens


def test_key_comes_from_the_environment():
    assert ApiKey.from_environment({}) is None
    key = ApiKey.from_environment({KEY_VARIABLE: f" {SECRET}\n"})
    assert key is not None and key.secret == SECRET


@pytest.mark.parametrize("secret", ["", "  ", "two words", "schl\u00fcssel", "a\x00b"])
def test_a_key_that_is_none_does_not_open_the_server(secret: str):
    with pytest.raises(ConfigError, match=f"the key in {KEY_VARIABLE}"):
        ApiKey.from_environment({KEY_VARIABLE: secret})


def test_a_key_is_not_shown():
    key = ApiKey(SECRET)
    assert SECRET not in f"{key} {key!r} {[key]}"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"key={SECRET}&a=b", f"key={HIDDEN}&a=b"),
        ("Authorization: Bearer abc.def-123", f"Authorization: Bearer {HIDDEN}"),
        ("{'authorization': 'bearer abc'}", f"{{'authorization': 'bearer {HIDDEN}'}}"),
        (
            "see data:image/png;base64,iVBORw0KGgo= there",
            f"see data:image/png;base64,{HIDDEN} there",
        ),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_redact(text: str, clean: str):
    assert redact(text, [SECRET, ""]) == clean


@pytest.fixture
def log():
    """A logger of its own, and what it writes."""
    logger = logging.getLogger("tests.keys")
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, written
    logger.removeHandler(handler)


def test_logs_hide_secrets_wherever_they_stand(log):
    logger, written = log

    class Client:
        def __str__(self) -> str:
            return f"client with {SECRET}"

    with redacted_logs(SECRET):
        logger.warning("asked with %s", SECRET)
        logger.warning(f"asked with {SECRET}")
        logger.warning("%(name)s of %(size)d", {"name": SECRET, "size": 3})
        logger.warning("%s, %d times, %s", Client(), 2, None)
        logger.warning("the picture data:image/png;base64,AAAA was refused")
        try:
            raise ValueError(f"wrong: {SECRET}")
        except ValueError:
            logger.exception("failed")
    lines = written.getvalue()
    assert SECRET not in lines and "AAAA" not in lines
    assert lines.count(HIDDEN) == 6
    assert f"WARNING client with {HIDDEN}, 2 times, None" in lines
    assert f"ValueError: wrong: {HIDDEN}" in lines


def test_logs_are_as_before_afterwards(log):
    logger, written = log
    before = logging.getLogRecordFactory()
    with pytest.raises(RuntimeError), redacted_logs(SECRET):
        raise RuntimeError
    assert logging.getLogRecordFactory() is before
    logger.warning("word")
    assert written.getvalue() == "WARNING word\n"
