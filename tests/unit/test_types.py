from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lisa.types import Conversation, ImagePart, ImageSize, Message, RegionPart, TextPart


def test_conversations_grow_by_copies():
    start = Conversation()
    asked = start.ask("what is this?", image_index=0)
    answered = asked.answer("a cup [SEG].")
    assert start.messages == ()
    assert len(asked.messages) == 1
    assert [message.role for message in answered.messages] == ["user", "assistant"]
    assert asked.messages[0].parts == (ImagePart(0), TextPart("what is this?"))
    assert answered.ask("and this?").messages[2].parts == (TextPart("and this?"),)
    with pytest.raises(dataclasses.FrozenInstanceError):
        start.messages = ()  # type: ignore[misc]


def test_text_leaves_pictures_and_regions_out():
    region = RegionPart(box=(0, 0, 1, 1), mask=np.ones((2, 2), bool))
    message = Message("user", (ImagePart(), TextPart("what is "), region, TextPart("this?")))
    assert message.text == "what is this?"


def test_sizes_are_height_first():
    assert ImageSize(2, 3) == (2, 3)
    assert ImageSize(2, 3).height == 2
