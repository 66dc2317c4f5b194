from __future__ import annotations

import numpy as np
import pytest

from lisa.data.colours import COLOURS
from lisa.data.knowledge import load_knowledge
from lisa.data.scene_tags import scene_vocabulary, tags_of_things
from lisa.errors import DataError

RED = (200, 20, 30)


def scene(*names: str) -> frozenset[str]:
    """A white picture with one red square a thing."""
    picture = np.full((20, 20 * len(names), 3), 250, np.uint8)
    masks = []
    for place in range(len(names)):
        mask = np.zeros(picture.shape[:2], bool)
        mask[4:12, 20 * place + 4 : 20 * place + 12] = True
        picture[mask] = RED
        masks.append(mask)
    return frozenset().union(*tags_of_things(load_knowledge(), names, picture, masks))


def test_the_vocabulary():
    vocabulary = scene_vocabulary(load_knowledge())
    names = [tag.name for tag in vocabulary]
    assert len(set(names)) == len(names)
    assert {tag.name for tag in vocabulary if tag.category == "object"} == {
        load_knowledge()[name].label for name in load_knowledge().trained_names
    }
    assert {"animal", "household item"} < {t.name for t in vocabulary if t.category == "kind"}
    assert sum(tag.category == "attribute" for tag in vocabulary) == len(COLOURS)
    assert "orange (colour)" in names
    assert "orange" in names


def test_things_kinds_and_colours():
    # The white background is no thing.
    assert scene("owl", "cow") == {"bird", "animal", "cow", "red"}
    assert scene("race car") == {"race car", "car", "vehicle", "red"}
    assert scene("carrot") == {"carrot", "vegetable", "food", "red"}
    assert scene() == frozenset()


def test_each_thing_has_its_own():
    picture = np.full((2, 4, 3), RED, np.uint8)
    picture[:, 2:] = (30, 60, 200)
    left = np.zeros((2, 4), bool)
    left[:, :2] = True
    owl, cow = tags_of_things(load_knowledge(), ("owl", "cow"), picture, (left, ~left))
    assert (owl, cow) == ({"bird", "animal", "red"}, {"cow", "animal", "blue"})


def test_all_tags_are_in_the_vocabulary():
    known = {tag.name for tag in scene_vocabulary(load_knowledge())}
    for name in load_knowledge().objects:
        assert scene(name) <= known, name


def test_an_unknown_thing():
    with pytest.raises(DataError, match="no object 'unicorn'"):
        scene("unicorn")
