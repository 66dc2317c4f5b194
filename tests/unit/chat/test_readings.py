from __future__ import annotations

from chat.readings import Readings
from chat.state import SessionPicture
from tests.chat_script import plain_picture


def test_the_pictures_asked_about_last_are_kept() -> None:
    pictures = [SessionPicture(n, plain_picture(n), "") for n in range(4)]
    readings = Readings(2)
    first, second = readings.of(pictures[0]), readings.of(pictures[1])
    assert readings.of(pictures[0]) is first
    readings.of(pictures[2])  # the second one has waited longest
    assert readings.of(pictures[0]) is first
    assert readings.of(pictures[1]) is not second


def test_the_same_picture_twice_is_one() -> None:
    readings = Readings()
    one, same = (SessionPicture(n, plain_picture(7), "") for n in (1, 2))
    assert readings.of(one) is readings.of(same)
