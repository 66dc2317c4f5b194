"""Predicted scene graphs of PSG as JSON lines, in the form that `lisa eval score` reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lisa.data.readers.psg import Psg, Scene
from lisa.images import open_image
from lisa.masks import encode_rle
from lisa.relations.graph import SceneGraph
from lisa.relations.predictor import TOP
from lisa.relations.scene_graphs import SceneGraphPredictor

Progress = Callable[[int, int], None]
"""Told after each picture how many are done, and of how many."""


def write_predictions(
    predictor: SceneGraphPredictor,
    psg: Psg,
    path: Path,
    *,
    true_segments: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Predict the graphs of a split; pictures that the file has already are left out.

    Args:
        predictor: Both stages.
        psg: The split.
        path: Of the `.jsonl` file, which is added to.
        true_segments: Relate the true segments with their true classes ("PredCls"), instead of
            what the panoptic model finds.
        limit: Only so many of the first pictures; None for all.
        progress: Told about each picture.

    Raises:
        DataError: If the data are damaged.
        ImageError: If a picture is missing or damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    done = _finished(path)
    total = len(psg) if limit is None else min(limit, len(psg))
    with path.open("a", encoding="utf-8") as file:
        for index in range(total):
            scene = psg[index]
            if scene.key not in done:
                graph = _graph(predictor, scene, psg.classes, true_segments)
                file.write(json.dumps(prediction_line(scene.key, graph)) + "\n")
                file.flush()
            if progress is not None:
                progress(index + 1, total)


def prediction_line(key: str, graph: SceneGraph) -> dict[str, Any]:
    """Return what stands in a line.

    Args:
        key: `image_id` of the picture.
        graph: With names, which are classes.
    """
    names = graph.names or ()
    return {
        "image_id": key,
        "segments": [
            {"category": name, "mask": encode_rle(segment.mask)}
            for name, segment in zip(names, graph.segments, strict=True)
        ],
        "relations": [asdict(relation) for relation in graph.relations],
    }


def _graph(
    predictor: SceneGraphPredictor, scene: Scene, classes: tuple[str, ...], true_segments: bool
) -> SceneGraph:
    image = open_image(scene.image)
    if not true_segments:
        return predictor(image, top=TOP)
    names = [classes[number] for number in scene.classes]
    return predictor.relate(image, list(scene.masks()), names, top=TOP)


def _finished(path: Path) -> set[str]:
    """Return the pictures that a file has; a line that was cut short is dropped from it."""
    if not path.exists():
        return set()
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        path.write_text("".join(lines[:-1]), encoding="utf-8")
        lines = lines[:-1]
    return {str(json.loads(line)["image_id"]) for line in lines}
