"""Three ways to decide what a turn does next, chosen by what the model can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat.deciders.contract import Call, Decider, Decision, Misread, ReadsAhead, Say, TurnView
from chat.deciders.native import NativeDecider

if TYPE_CHECKING:
    from chat.speaker import Speaker
    from chat.workbench import Workbench

__all__ = [
    "Call",
    "Decider",
    "Decision",
    "Misread",
    "NativeDecider",
    "ReadsAhead",
    "Say",
    "TurnView",
    "choose_decider",
]


def choose_decider(workbench: Workbench, speaker: Speaker) -> Decider:
    """Return what decides for a model: its planner, if one was chosen; else what it can do itself.

    Args:
        workbench: Has the model.
        speaker: Says what it says.
    """
    planner = workbench.planner
    if planner is not None:
        return planner
    tools = workbench.pipeline.processor.settings.tools
    if tools:
        return NativeDecider(speaker, tools)
    from chat.deciders.likelihood import LikelihoodDecider

    return LikelihoodDecider(workbench, speaker)
