import argparse

import pytest

from chat.commands import web
from lisa.errors import ConfigError, MissingDependencyError


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    web.add_arguments(parser)
    return parser.parse_args(words)


def test_page_for_others_needs_a_key(monkeypatch):
    monkeypatch.delenv("LISA_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="LISA_API_KEY, or say --without-key"):
        web.run(arguments("--host", "0.0.0.0"))


def test_page_is_for_this_machine_alone():
    assert arguments().host == "127.0.0.1"


def test_missing_gradio_is_named(monkeypatch):
    monkeypatch.setattr(web, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"lisa-assistant\[web\]"):
        web.run(arguments())
