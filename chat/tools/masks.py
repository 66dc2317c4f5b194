"""The tool that finds everything in a picture as masks, without being asked for any of them."""

from __future__ import annotations

from chat.tools.contract import Tool, ToolArguments, ToolResult, ToolScene
from chat.tools.things import Finder
from lisa.observations import say_masks

MOST_MASKS = 20
"""More masks than these, the largest first, would be names that nobody can follow."""

_SHARE_OF_TIME = 0.5
"""Of what is left for the turn; the answer needs some of it too."""


class MasksArguments(ToolArguments):
    """None."""


class MasksTool(Tool[MasksArguments]):
    """Asks a grid of points, as long as there is time."""

    name = "masks"
    description = "Find the masks of everything in the picture."
    arguments = MasksArguments

    def run(self, arguments: MasksArguments, scene: ToolScene) -> ToolResult:
        """Find masks; what the model knows by name is called so.

        Raises:
            TurnCancelled: If somebody stopped the turn meanwhile.
        """
        from lisa.relations.automatic_masks import automatic_masks

        left = scene.cancellation.seconds_left
        with scene.workbench.lock:
            found = automatic_masks(
                scene.workbench.promptable(scene.picture),
                seconds=None if left is None else left * _SHARE_OF_TIME,
                progress=lambda done, total: scene.cancellation.check(),
            )
        finder = Finder(scene)
        chosen = found.segments[:MOST_MASKS]
        words = finder.words_for(chosen)
        named = [finder.known_as(*one) for one in zip(chosen, words, strict=True)]
        data = {
            "segments": [one.name for one in named],
            "labels": [one.label for one in named],
            "found": len(found.segments),
            "complete": found.is_complete,
        }
        return ToolResult(say_masks([one.name for one in named]), data, finder.new)
