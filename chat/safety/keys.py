"""The key that guards a server, and logs that never show it."""

from __future__ import annotations

import hmac
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lisa.errors import ConfigError

KEY_VARIABLE = "LISA_API_KEY"
"""Environment variable of the key; a command line would show it to every user of the machine."""

HIDDEN = "[hidden]"
_BEARER = re.compile(r"(?i)(\bbearer\s+)[^\s\"',;\\]+")
_DATA_URL = re.compile(r"(?i)(\bdata:[a-z0-9.+/-]*(?:;[a-z0-9=.+-]+)*;base64,)[a-z0-9+/=_%-]+")


class ApiKey:
    """A key that clients have to send; nothing that prints it shows it.

    Args:
        secret: Printable ASCII without spaces.

    Raises:
        ConfigError: If it is empty or could not be sent in a header.
    """

    def __init__(self, secret: str) -> None:
        if not secret or not all("!" <= character <= "~" for character in secret):
            raise ConfigError(
                f"the key in {KEY_VARIABLE} is empty or has spaces or other characters than "
                "ASCII: set another, or unset it to serve without a key."
            )
        self._secret = secret

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> ApiKey | None:
        """Return the key of `KEY_VARIABLE`; None if it is not set.

        Raises:
            ConfigError: If it is set to something that is no key. A server that its owner wanted
                guarded must not open because of a slip.
        """
        secret = variables.get(KEY_VARIABLE)
        return None if secret is None else cls(secret.strip())

    def __repr__(self) -> str:
        return f"ApiKey({HIDDEN})"

    @property
    def secret(self) -> str:
        """The key itself, for `redacted_logs`."""
        return self._secret

    def opens(self, authorization: str | None) -> bool:
        """Tell whether a header `Authorization: Bearer KEY` carries the key.

        The time that it takes does not depend on how much of a wrong key is right.

        Args:
            authorization: Value of the header; None if there is none.
        """
        scheme, _, given = (authorization or "").partition(" ")
        same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._secret.encode())
        return same and scheme.lower() == "bearer"


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """Return a text without keys and without the contents of data URLs.

    Args:
        text: What would be logged.
        secrets: Words to blank wherever they occur; empty ones are passed over.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    return _DATA_URL.sub(rf"\g<1>{HIDDEN}", _BEARER.sub(rf"\g<1>{HIDDEN}", text))


@contextmanager
def redacted_logs(*secrets: str) -> Iterator[None]:
    """Blank secrets and data URLs in everything that is logged, by any logger, in the meantime.

    It works where records are made: a filter would have to hang on every handler that a library
    may add later.

    Args:
        *secrets: Words to blank besides bearer tokens, such as keys of other services.
    """
    make = logging.getLogRecordFactory()

    def make_redacted(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.msg = redact(str(record.msg), secrets)
        record.args = _redact_arguments(record.args, secrets)
        if record.exc_info and record.exc_info[0] is not None:
            # Formatters write this text instead of formatting the traceback themselves.
            written = logging.Formatter().formatException(record.exc_info)
            record.exc_text = redact(written, secrets)
        return record

    logging.setLogRecordFactory(make_redacted)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)


def _redact_arguments(arguments: Any, secrets: Sequence[str]) -> Any:
    """Blank what a record is formatted with; numbers stay numbers, for formats such as %d."""
    if isinstance(arguments, Mapping):
        return {name: _redact_value(value, secrets) for name, value in arguments.items()}
    if isinstance(arguments, tuple):
        return tuple(_redact_value(value, secrets) for value in arguments)
    return arguments


def _redact_value(value: Any, secrets: Sequence[str]) -> Any:
    return value if value is None or isinstance(value, int | float) else redact(str(value), secrets)
