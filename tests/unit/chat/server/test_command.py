from __future__ import annotations

import argparse
import builtins

import pytest

from chat.commands import serve
from chat.safety.keys import ApiKey
from lisa.errors import ConfigError, ImageError, MissingDependencyError


def parsed(*words):
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--host", "0.0.0.0"], "everybody who reaches 0.0.0.0 could use the model"),
        (["--batch", "0"], "--batch is 0: give a number from 1"),
        (["--port", "70000"], "--port is 70000"),
        (["--allow-origin", "*"], "is not the origin of a web page"),
        (["--fetch", "http://x/"], "is not the name of a host"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_loaded(monkeypatch, words, sentence):
    monkeypatch.delenv("LISA_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=sentence.replace("*", r"\*")):
        serve.run(parsed(*words))


def test_an_empty_key_does_not_open_the_server(monkeypatch):
    monkeypatch.setenv("LISA_API_KEY", "  ")
    with pytest.raises(ConfigError, match="LISA_API_KEY is empty"):
        serve.run(parsed())


def test_only_a_local_server_insists_on_its_names():
    key = ApiKey("k" * 32)
    assert serve._settings(parsed(), None).hosts == ("localhost", "127.0.0.1", "[::1]")
    assert "lisa.local" in serve._settings(parsed("--allow-host", "LISA.local"), None).hosts
    assert serve._settings(parsed("--host", "0.0.0.0"), key).hosts is None
    assert serve._settings(parsed("--host", "0.0.0.0", "--without-key"), None).hosts is None
    assert serve._settings(parsed("--host", "::1"), None).hosts is not None


def test_a_folder_is_not_told_to_clients():
    assert serve._settings(parsed("--model", "some/folder/mine"), None).name == "mine"
    assert serve._settings(parsed("--model", "some/folder", "--name", "our"), None).name == "our"


def test_addresses_are_fetched_only_if_hosts_are_named():
    with pytest.raises(ImageError, match="fetches no addresses"):
        serve._sources(parsed()).open("https://example.org/a.png")
    with pytest.raises(ImageError, match="has a host that may not be asked"):
        serve._sources(parsed("--fetch", "example.org")).open("https://elsewhere.org/a.png")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    found = builtins.__import__

    def without_fastapi(name, *rest):
        if name == "fastapi":
            raise ImportError("no", name="fastapi")
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_fastapi)
    with pytest.raises(MissingDependencyError, match=r"lisa-assistant\[serve\]"):
        serve.run(parsed())
