"""Which models the assistant works with, as its commands are told."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lisa.commands.segment import add_model_arguments, model_arguments
from lisa.errors import ConfigError
from lisa.hub import NANO

if TYPE_CHECKING:
    from chat.deciders.planner_choice import PlannerChoice
    from chat.workbench import ModelChoice

_NONE = "none"


def add_choice_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every command that answers questions with tools."""
    add_model_arguments(parser)
    group = parser.add_argument_group("models of the tools")
    group.add_argument(
        "--tagger", default=NANO, metavar="NAME", help="says what is there; none for no tags"
    )
    group.add_argument(
        "--relations", default=NANO, metavar="NAME", help="relate things; none for no relations"
    )
    group.add_argument(
        "--panoptic", default=_NONE, metavar="NAME", help="a Mask2Former or OneFormer, or none"
    )
    planner = parser.add_argument_group("who decides")
    planner.add_argument(
        "--planner",
        metavar="NAME",
        help="decides which tools are called: address of an OpenAI-compatible API, or hub id or "
        "folder of an instruct model (default: the model itself)",
    )
    planner.add_argument(
        "--planner-model", metavar="NAME", help="what the API calls the planner's model"
    )
    planner.add_argument(
        "--planner-key", metavar="VARIABLE", help="environment variable that holds the API's key"
    )
    planner.add_argument(
        "--planner-blind", action="store_true", help="the API's model takes no pictures"
    )
    planner.add_argument(
        "--planner-units",
        choices=("pixels", "thousandths"),
        help="of the boxes and points that the planner writes (default: pixels)",
    )


def choice_of(args: argparse.Namespace) -> ModelChoice:
    """Return what was chosen."""
    from chat.workbench import ModelChoice

    return ModelChoice(
        args.model,
        tagger=_named(args.tagger),
        relations=_named(args.relations),
        panoptic=_named(args.panoptic),
        planner=_planner(args),
        **model_arguments(args),
    )


def _planner(args: argparse.Namespace) -> PlannerChoice | None:
    """Return the planner; no option may change nothing."""
    from chat.deciders.planner_choice import KEY_VARIABLE, PlannerChoice

    of_address = {
        "--planner-model": args.planner_model is not None,
        "--planner-key": args.planner_key is not None,
        "--planner-blind": args.planner_blind,
    }
    given = [option for option, is_given in of_address.items() if is_given]
    if args.planner is None:
        if given or args.planner_units is not None:
            raise ConfigError(
                f"{(given or ['--planner-units'])[0]} changes nothing without --planner: add it, "
                "or leave this out."
            )
        return None
    choice = PlannerChoice(
        args.planner,
        args.planner_model,
        args.planner_key or KEY_VARIABLE,
        sees=not args.planner_blind,
        units=args.planner_units or "pixels",
    )
    if given and not choice.is_address:
        raise ConfigError(
            f"{given[0]} is about the address of an API, and {args.planner} is a model: leave it "
            "out."
        )
    return choice


def _named(name: str) -> str | None:
    return None if name.lower() == _NONE else name
