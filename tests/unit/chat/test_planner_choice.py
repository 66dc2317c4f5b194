"""Planners by name, as the command line gives them."""

from __future__ import annotations

import argparse

import pytest

from chat.commands.choice import add_choice_arguments, choice_of
from chat.deciders import choose_decider
from chat.deciders.planner import PlannerDecider
from chat.deciders.planner_choice import PlannerChoice
from chat.workbench import ModelChoice, Workbench
from lisa.errors import CheckpointError, ConfigError
from tests.chat_script import ScriptedSpeaker

URL = "http://127.0.0.1:9/v1"


def _choice(*words: str) -> PlannerChoice | None:
    parser = argparse.ArgumentParser()
    add_choice_arguments(parser)
    return choice_of(parser.parse_args(words)).planner


def test_without_options_the_model_decides() -> None:
    assert _choice() is None
    assert Workbench().planner is None


def test_an_address_has_a_model_and_a_key() -> None:
    words = ["--planner", URL, "--planner-model", "m", "--planner-key", "K", "--planner-blind"]
    assert _choice(*words, "--planner-units", "thousandths") == PlannerChoice(
        URL, "m", "K", sees=False, units="thousandths"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--planner-model", "m"], "--planner-model changes nothing without --planner"),
        (["--planner-units", "pixels"], "--planner-units changes nothing without --planner"),
        (["--planner", "some/model", "--planner-blind"], "--planner-blind is about the address"),
    ],
)
def test_options_that_would_change_nothing_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _choice(*words)


def test_a_chosen_planner_decides_and_no_other_model_is_loaded() -> None:
    bench = Workbench(ModelChoice("/no/such/folder", planner=PlannerChoice(URL, "m")))
    assert isinstance(choose_decider(bench, ScriptedSpeaker([])), PlannerDecider)
    assert bench.planner is bench.planner


def test_an_address_without_a_model_says_what_to_give() -> None:
    with pytest.raises(ConfigError, match="give --planner-model"):
        _ = Workbench(ModelChoice(planner=PlannerChoice(URL))).planner


def test_a_planner_that_is_nowhere_says_so() -> None:
    with pytest.raises(CheckpointError, match="no folder"):
        _ = Workbench(ModelChoice(planner=PlannerChoice("/no/such/folder"))).planner
