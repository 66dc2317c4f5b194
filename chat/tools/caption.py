"""The tool that describes a picture in one sentence."""

from __future__ import annotations

from chat.tools.contract import Tool, ToolArguments, ToolResult, ToolScene
from lisa.data.captions import REQUESTS
from lisa.observations import say_caption


class CaptionArguments(ToolArguments):
    """None."""


class CaptionTool(Tool[CaptionArguments]):
    """Lets the model write a sentence from what was found."""

    name = "caption"
    description = "Describe the whole picture in one sentence."
    arguments = CaptionArguments

    def run(self, arguments: CaptionArguments, scene: ToolScene) -> ToolResult:
        """Describe the picture; without relation weights the model has only its eyes."""
        from lisa.captions import caption_picture, write_sentence

        bench, picture = scene.workbench, scene.picture
        with bench.lock:
            if not bench.has("relations"):
                text = write_sentence(bench.pipeline, bench.encode(picture), REQUESTS.train[0])
                return ToolResult(say_caption(text), {"text": text, "relations": []})
            names = bench.thing_names(picture) if bench.has("tagger") else None
            found = caption_picture(
                bench.pipeline,
                bench.relations,
                picture.image,
                names,
                encoded=bench.encode(picture),
                things=bench.things(picture),
            )
        said = [found.graph.sentence(one) for one in found.graph.relations]
        return ToolResult(say_caption(found.text), {"text": found.text, "relations": said})
