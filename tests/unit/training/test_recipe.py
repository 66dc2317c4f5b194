from __future__ import annotations

from dataclasses import fields

import pytest

from lisa.errors import ConfigError
from training.nano.recipe import NanoRecipe, Stage

STAGES = ("decoder", "language", "joint")
NUMBERS = [field.name for field in fields(NanoRecipe) if field.name not in STAGES]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_can_be_changed(name: str) -> None:
    changed = NanoRecipe().with_overrides([f"{name}=7"])
    assert getattr(changed, name) == 7
    assert type(getattr(changed, name)) is type(getattr(NanoRecipe(), name))
    left = {k: v for k, v in changed.to_dict().items() if k != name}
    assert left == {k: v for k, v in NanoRecipe().to_dict().items() if k != name}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", [field.name for field in fields(Stage)])
def test_every_number_of_a_stage_can_be_changed(stage: str, name: str) -> None:
    changed = NanoRecipe().with_overrides([f"{stage}.{name}=3"])
    before, after = getattr(NanoRecipe(), stage), getattr(changed, stage)
    assert getattr(after, name) == 3
    assert type(getattr(after, name)) is type(getattr(before, name))
    assert {k for k, v in vars(after).items() if v != vars(before)[k]} <= {name}
    assert all(getattr(changed, one) == getattr(NanoRecipe(), one) for one in {*STAGES} - {stage})


def test_later_overrides_win() -> None:
    changed = NanoRecipe().with_overrides(
        ["decoder.steps=3", "decoder.learning_rate=2e-4", "decoder.steps=5"]
    )
    assert changed.decoder == Stage(5, NanoRecipe().decoder.scenes, 2e-4)
    assert NanoRecipe().with_overrides([]) == NanoRecipe()


def test_the_plain_form_holds_everything() -> None:
    """What recipe.json stores is enough to run the same again."""
    recipe = NanoRecipe().with_overrides(["seed=3", "joint.warmup=2"])
    stored = recipe.to_dict()
    overrides = [f"{k}={v}" for k, v in stored.items() if not isinstance(v, dict)]
    overrides += [f"{s}.{k}={v}" for s in STAGES for k, v in stored[s].items()]
    assert NanoRecipe().with_overrides(overrides) == recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps=3", "'steps=3' names no number of the recipe: choose from seed, scenes,"),
        ("decoder.speed=3", "names no number of the recipe: choose from steps, scenes,"),
        ("", "names no number of the recipe"),
        ("scenes", "needs a number after the equals sign"),
        ("scenes=", "needs a number after the equals sign"),
        ("scenes=many", "needs a number after the equals sign"),
        ("scenes=inf", "needs a number after the equals sign"),
        ("scenes=nan", "needs a number after the equals sign"),
        ("decoder=3", "needs a number after the equals sign"),
        ("seed.steps=3", "has a dot behind a number"),
    ],
)
def test_wrong_overrides_are_one_sentence(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NanoRecipe().with_overrides([override])
