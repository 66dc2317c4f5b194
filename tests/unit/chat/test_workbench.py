"""Models are loaded when needed; what they found out about a picture is kept within a budget."""

from __future__ import annotations

import threading

import pytest
from PIL import Image

from chat.picture_memory import PictureMemory
from chat.state import SessionPicture
from chat.workbench import ModelChoice, Workbench
from lisa.errors import CheckpointError, ConfigError
from tests.unit.chat.tools.bench import ScriptedTagger, workbench


def _picture(shade: int, number: int = 1) -> SessionPicture:
    return SessionPicture(number, Image.new("RGB", (64, 48), (shade, shade, shade)), "grey")


def test_nothing_is_loaded_before_it_is_needed() -> None:
    bench = Workbench(ModelChoice("/no/such/folder", tagger=None, relations=None))
    assert not bench.has("tagger")
    assert not bench.has("panoptic")
    assert bench.panoptic is None
    with pytest.raises(CheckpointError, match="no folder"):
        _ = bench.pipeline


def test_a_part_that_was_not_chosen_says_so() -> None:
    bench = Workbench(ModelChoice(tagger=None, relations=None))
    with pytest.raises(ConfigError, match=r"no tagger was chosen: name one"):
        _ = bench.tagger
    with pytest.raises(ConfigError, match="no relation weights"):
        _ = bench.relations


def test_a_picture_is_encoded_once_whatever_its_number() -> None:
    bench = workbench()
    first = bench.encode(_picture(10))
    assert bench.encode(_picture(10, number=7)) is first
    bench.promptable(_picture(10))
    bench.things(_picture(10))
    assert bench.encodings == 1
    assert bench.encode(_picture(11)) is not first
    assert bench.encodings == 2


def test_the_longest_unused_picture_is_forgotten_first() -> None:
    one = workbench().pipeline.kept_bytes
    size = one((48, 64))  # type: ignore[arg-type]
    bench = workbench(image_cache_bytes=2 * size)
    for shade in (1, 2, 1, 3):
        bench.encode(_picture(shade))
    assert bench.encodings == 3
    bench.encode(_picture(1))
    assert bench.encodings == 3
    bench.encode(_picture(2))
    assert bench.encodings == 4
    assert bench.memory.kept_bytes <= 2 * size


def test_the_picture_in_use_is_kept_though_it_is_larger_than_the_budget() -> None:
    bench = workbench(image_cache_bytes=1)
    bench.encode(_picture(1))
    bench.promptable(_picture(1))
    assert bench.encodings == 1


def test_memory_counts_what_it_keeps() -> None:
    memory = PictureMemory(100)
    for name, size in (("a", 40), ("b", 40), ("a", 10)):
        memory.of(name)
        memory.grew(name, size)
    assert memory.kept_bytes == 90
    memory.of("c")
    memory.grew("c", 30)
    assert len(memory) == 2
    assert memory.kept_bytes == 80
    assert memory.of("b").encoded is None


def test_the_tagger_rules_out_only_what_it_knows() -> None:
    bench = workbench(tagger=ScriptedTagger([("apple", "object")], unseen=["zebra"]))
    picture = _picture(5)
    assert bench.rules_out(picture, "zebra")
    assert not bench.rules_out(picture, "apple")
    assert not bench.rules_out(picture, "thing that it has never heard of")
    assert not workbench(tagger=None).rules_out(picture, "zebra")


def test_threads_take_turns_at_the_models() -> None:
    bench = workbench()
    pictures = [_picture(shade) for shade in range(4)] * 3
    threads = [threading.Thread(target=bench.encode, args=(one,)) for one in pictures]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.encodings == 4
