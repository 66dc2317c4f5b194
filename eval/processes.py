"""Several processes that evaluate together, each a part of the pictures.

They are started by `torchrun` or `accelerate launch`, which say in the environment how many there
are. A plain process needs nothing of accelerate.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from lisa.errors import MissingDependencyError

_PATIENCE = timedelta(days=7)
"""A process that is done waits for the others; the usual ten minutes would end a long run."""


def _go_on() -> None:
    """Wait for nobody."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them.

    Attributes:
        index: Of this one, from 0; the first one merges, reports and draws the progress bar.
        count: How many there are.
        wait: Returns when all of them have called it.
    """

    index: int = 0
    count: int = 1
    wait: Callable[[], None] = _go_on

    @property
    def is_main(self) -> bool:
        """Whether this is the first one."""
        return self.index == 0


ALONE = Processes()


def current_processes(device: str = "auto") -> Processes:
    """Return the processes that a launcher started, or this one alone.

    Args:
        device: Where models compute, as `LisaPipeline.from_pretrained` takes it; on "cpu" the
            processes talk through the CPU too.

    Raises:
        MissingDependencyError: If there are several and accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE") or 1) < 2:
        return ALONE
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise MissingDependencyError(
            "Several processes need accelerate: pip install 'lisa-assistant[eval]'."
        ) from error
    state = PartialState(cpu=device == "cpu", timeout=_PATIENCE)
    return Processes(state.process_index, state.num_processes, state.wait_for_everyone)
