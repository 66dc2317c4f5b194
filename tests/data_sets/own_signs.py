"""Forty-two pictures as a user would bring them: drawn signs that lisa-nano has never seen, JSONL.

Thirty are for training, twelve are held out.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from lisa.data.scenes.backgrounds import paint_background
from lisa.types import ImageSize

Outline = list[tuple[float, float]]


def star(points: int, inner: float) -> Outline:
    """A star of radius 1 whose dents reach the radius `inner`."""
    corners = []
    for corner in range(2 * points):
        radius = inner if corner % 2 else 1.0
        angle = math.pi * corner / points
        corners.append((radius * math.cos(angle), radius * math.sin(angle)))
    return corners


def plus(half: float) -> Outline:
    """A cross with arms as wide as 2 * `half`."""
    quarter = [(half, -half), (1.0, -half), (1.0, half), (half, half)]
    turned = []
    for _ in range(4):
        turned += quarter[:3]
        quarter = [(-y, x) for x, y in quarter]
    return turned


SIGNS: dict[str, Outline] = {
    "gear": star(10, 0.75),
    "spark": star(4, 0.3),
    "cross sign": plus(0.33),
    "hexagon": star(3, 1.0),
    "arrow sign": [
        *((-1.0, -0.3), (0.2, -0.3), (0.2, -0.8), (1.0, 0.0)),
        *((0.2, 0.8), (0.2, 0.3), (-1.0, 0.3)),
    ],
    "lightning bolt": [
        *((0.1, -1.0), (-0.6, 0.15), (-0.1, 0.15), (-0.3, 1.0)),
        *((0.6, -0.25), (0.1, -0.25), (0.5, -1.0)),
    ],
}


def draw(rng: np.random.Generator) -> tuple[Image.Image, list[dict[str, Any]]]:
    """Draw two to four signs, each in a quarter of its own; returns what a line calls targets."""
    size = ImageSize(*(int(side) for side in rng.integers(200, 300, 2)))
    picture = paint_background(size, rng)
    pen = ImageDraw.Draw(picture)
    names = rng.choice(list(SIGNS), size=int(rng.integers(2, 5)), replace=False)
    targets = []
    for name, quarter in zip(names, rng.permutation(4), strict=False):
        width, height = size.width / 2, size.height / 2
        radius = rng.uniform(0.27, 0.45) * min(width, height)
        x = (quarter % 2 + 0.5) * width + rng.uniform(-0.04, 0.04) * width
        y = (quarter // 2 + 0.5) * height + rng.uniform(-0.04, 0.04) * height
        turn = rng.uniform(-0.4, 0.4)
        cos, sin = math.cos(turn), math.sin(turn)
        outline = [
            (x + radius * (cos * a - sin * b), y + radius * (sin * a + cos * b))
            for a, b in SIGNS[str(name)]
        ]
        fill, line = (tuple(map(int, rng.integers(0, 256, 3))) for _ in range(2))
        pen.polygon(outline, fill=fill, outline=line, width=3)
        corners = [round(number, 1) for point in outline for number in point]
        targets.append({"text": str(name), "segment": {"polygon": [corners]}})
    return picture, targets


def write(root: Path) -> None:
    """Write pictures, `train.jsonl` with thirty lines and `val.jsonl` with twelve."""
    rng = np.random.default_rng(1)
    (root / "pictures").mkdir(parents=True)
    for split, count in (("train", 30), ("val", 12)):
        lines = []
        for number in range(count):
            picture, targets = draw(rng)
            file = f"pictures/{split}_{number}.png"
            picture.save(root / file)
            lines.append(json.dumps({"image": file, "targets": targets}) + "\n")
        (root / f"{split}.jsonl").write_text("".join(lines))
