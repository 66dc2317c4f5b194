from __future__ import annotations

import numpy as np
import pytest

from lisa import observations as say


def test_words_are_those_that_the_model_was_trained_on() -> None:
    assert say.note([]) == ""
    assert say.note(["#1 cup", "#2"]) == "(#1 cup, #2)\n"
    assert say.label("#1", None) == "#1"
    assert say.say_tags(["cup"], ["red"]) == "things: cup; also: red"
    assert say.say_tags([]) == "things: nothing"
    assert say.say_masks(["#1", "#2"]) == "2 masks: #1, #2"
    words = say.RelationWords("#1 cup", "left of", "#2 pear")
    assert say.say_relations([words, words]) == "#1 cup left of #2 pear; #1 cup left of #2 pear"
    assert say.say_relations([]) == say.say_caption("") == "nothing"
    assert say.say_region("#1 cup", ["red"], "on the left", 0.5).endswith(
        "red, on the left, 50.0 % of the picture"
    )
    assert say.say_area("#1", 0.123, 9) == "#1: 12.3 % of the picture, 9 pixels"
    assert say.say_count([]) == "0"
    assert say.say_count(["#1 cup"]) == "1: #1 cup"


@pytest.mark.parametrize(
    ("rows", "columns", "place"),
    [
        (slice(0, 5), slice(0, 5), "in the upper left"),
        (slice(0, 5), slice(13, 17), "at the top"),
        (slice(13, 17), slice(13, 17), "in the middle"),
        (slice(13, 17), slice(25, 30), "on the right"),
        (slice(25, 30), slice(13, 17), "at the bottom"),
        (slice(25, 30), slice(25, 30), "in the lower right"),
        (slice(0, 30), slice(0, 30), "in the middle"),
    ],
)
def test_places(rows, columns, place) -> None:
    mask = np.zeros((30, 30), dtype=bool)
    mask[rows, columns] = True
    assert say.place_of(mask) == place
