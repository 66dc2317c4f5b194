from __future__ import annotations

import json

import pytest

from lisa.errors import ConfigError
from lisa.settings import build_settings, plain
from training.nano.recipe import NanoRecipe, Stage, read_recipe


def test_the_stored_recipe_is_enough_to_run_it_again() -> None:
    recipe = read_recipe(["seed=3", "joint.warmup=2", "scenes=1e2"])
    assert (recipe.seed, recipe.joint.warmup, recipe.scenes) == (3, 2, 100)
    stored = json.loads(json.dumps(plain(recipe)))
    assert build_settings(NanoRecipe, stored, "there") == recipe


def test_a_stage_keeps_its_other_numbers() -> None:
    usual = read_recipe()
    changed = read_recipe(["decoder.steps=3", "decoder.learning_rate=2e-4"])
    assert changed.decoder == Stage(3, usual.decoder.scenes, 2e-4, usual.decoder.warmup)
    assert changed.language == usual.language


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("steps=3", "steps is unknown .did you mean"),
        ("decoder.speed=3", "decoder.speed is unknown"),
        ("scenes=many", "scenes must be a whole number, not 'many'"),
        ("decoder=3", "decoder must hold names and values"),
        ("seed.steps=3", "seed must be a whole number"),
    ],
)
def test_wrong_words_are_one_sentence(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_recipe([word])
