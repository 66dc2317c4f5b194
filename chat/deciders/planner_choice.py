"""Which planner decides, if one is chosen: an address, or a model on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chat.deciders.planner_places import Units
from lisa.errors import ConfigError

if TYPE_CHECKING:
    from chat.deciders.planner import PlannerDecider

KEY_VARIABLE = "LISA_PLANNER_KEY"


@dataclass(frozen=True)
class PlannerChoice:
    """A planner by name.

    Attributes:
        name: Base address of an OpenAI-compatible API, or hub id or folder of an instruct model.
        model: Of an address: what the API calls the model.
        key_variable: Of an address: environment variable that holds the key.
        sees: Of an address: whether the model takes pictures.
        units: Of the boxes and points that it writes.
    """

    name: str
    model: str | None = None
    key_variable: str = KEY_VARIABLE
    sees: bool = True
    units: Units = "pixels"

    @property
    def is_address(self) -> bool:
        """Whether it is asked over the network."""
        return "://" in self.name


def open_planner(choice: PlannerChoice, device: str, dtype: str, offline: bool) -> PlannerDecider:
    """Load a planner, or note its address.

    Args:
        choice: Which.
        device: For a model on this machine; "auto", "cpu", "cuda", "cuda:1", "mps".
        dtype: Likewise; "auto", "float32", "bfloat16", "float16".
        offline: Never ask the hub.

    Raises:
        CheckpointError: If weights cannot be found or read.
        ConfigError: If the address is none, or its model is not named.
        DeviceError: If device or number type do not exist here.
        MissingDependencyError: If a needed package is not installed.
    """
    from chat.deciders.planner import PlannerDecider

    if choice.is_address:
        from chat.deciders.planner_endpoint import Endpoint, EndpointPlanner

        if choice.model is None:
            raise ConfigError(
                "a planner behind an address needs the name of its model: give --planner-model."
            )
        endpoint = Endpoint(
            choice.name,
            choice.model,
            key_variable=choice.key_variable,
            sees=choice.sees,
            units=choice.units,
        )
        return PlannerDecider(EndpointPlanner(endpoint))
    from chat.deciders.planner_local import LocalPlanner

    return PlannerDecider(
        LocalPlanner.from_pretrained(
            choice.name, device, dtype, units=choice.units, offline=offline
        )
    )
