from __future__ import annotations

import pytest

from chat.safety.hosts import LOCAL_HOSTS, is_local


@pytest.mark.parametrize("host", [*LOCAL_HOSTS, "LOCALHOST", "::1", "127.8.9.10"])
def test_names_of_this_machine_alone(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "[::]", "10.0.0.1", "localhost.example.org", "127.0.0.1.example.org"],
)
def test_others_can_reach_every_other(host: str) -> None:
    assert not is_local(host)
