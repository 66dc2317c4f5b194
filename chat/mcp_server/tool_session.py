"""A session whose tools can be called from outside, without a question around them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from chat.cancellation import Cancellation
from chat.scene import DraftScene
from chat.session import ChatSession
from chat.state import SessionPicture
from chat.steps import Observed
from lisa.errors import DataError
from lisa.images import ImageSource, open_image


class ToolSession(ChatSession):
    """What tools find here gets its name at once; the model hears of it with the next question."""

    def use(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        picture: int | None = None,
        cancellation: Cancellation | None = None,
    ) -> Observed:
        """Call a tool.

        Args:
            tool: Its name.
            arguments: As its schema says.
            picture: Number of the picture; None is the one that is looked at.
            cancellation: Stops the call from another thread.

        Returns:
            What it found; its new segments are part of the session.

        Raises:
            LisaError: There is no such tool or picture, the arguments are wrong, or the tool cannot
                answer; the session is as it was.
            TurnCancelled: Somebody stopped the call, likewise.
        """
        called = next((one for one in self.tools if one.name == tool), None)
        if called is None:
            raise DataError(f"there is no tool {tool[:40]!r} here: ask the server for its tools.")
        checked = called.check(arguments)
        stop = cancellation or Cancellation()
        begin = time.perf_counter()
        with self._changing() as state:
            stop.limit(self.limits.agent.seconds)
            draft = self._draft(state)
            shown = self._shown(draft, state, picture)
            scene = DraftScene(draft, shown, called.name, self.workbench, stop)
            result = called.run(checked, scene)
            stop.check()
            self._state = replace(
                state,
                pictures=draft.pictures,
                segments=draft.segments,
                picture=shown.number,
            )
        segments = {one.name: one for one in (*result.segments, *draft.new_segments)}
        seconds = time.perf_counter() - begin
        return Observed("", result.text, result.data, tuple(segments.values()), False, seconds)

    def show(self, image: ImageSource, name: str) -> int:
        """Look at a picture from now on; one that the session has already keeps its number.

        Returns:
            The number.

        Raises:
            LisaError: As `add_picture` raises.
        """
        opened = open_image(image)
        digest = SessionPicture(0, opened, name).digest
        for known in self.pictures:
            if known.digest == digest:
                return self.use_picture(known.number).number
        return self.add_picture(opened, name).number

    def reopen(self, folder: Path) -> Self:
        """Return a saved session that goes on with the same models and limits.

        Raises:
            LisaError: As `load` raises.
        """
        return type(self).load(
            folder,
            self.workbench,
            speaker=self._given_speaker,
            decider=self._given_decider,
            tools=self._tools,
            limits=self.limits,
        )

    @property
    def held_bytes(self) -> int:
        """How much memory its pictures and masks take."""
        pictures = sum(3 * one.image.width * one.image.height for one in self.pictures)
        return pictures + sum(one.segment.mask.nbytes for one in self.segments)

    def check_room(self, most: int) -> None:
        """Refuse to grow further.

        Raises:
            DataError: It holds `most` bytes or more.
        """
        if self.held_bytes >= most:
            raise DataError(
                f"the session holds {self.held_bytes >> 20} MiB of pictures and masks, above the "
                f"limit of {most >> 20} MiB: undo questions, or begin another session."
            )
