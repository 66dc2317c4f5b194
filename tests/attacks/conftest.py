"""Servers that are attacked over HTTP: an open one with narrow limits, and one with a key."""

from __future__ import annotations

import pytest

from chat.safety.keys import ApiKey
from chat.safety.limits import SafetyLimits
from chat.server.settings import ServerSettings
from tests.unit.chat.server.scripted import KEY, asked, served


@pytest.fixture(scope="module")
def server():
    limits = SafetyLimits(request_bytes=2_000_000, upload_bytes=500_000, pixels=1_000_000)
    with served(settings=ServerSettings(limits=limits, body_seconds=1.0)) as running:
        yield running
        # Whatever was tried: it still answers.
        assert running.openai().chat.completions.create(**asked(9)).choices


@pytest.fixture(scope="module")
def guarded():
    with served(settings=ServerSettings(key=ApiKey(KEY))) as running:
        yield running
