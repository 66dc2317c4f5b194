"""A user's own data as JSONL: every kind of region, both forms of a line, two splits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.data_sets.drawing import ellipse, label_picture, packed, photograph, polygon, rectangle

CUP, PLATE = (10, 8, 30, 26), (34, 14, 52, 34)
SIZES = {"1": (40, 56), "2": (52, 44), "3": (36, 60), "4": (44, 48)}
COLOURS = {0: (90, 110, 90), 1: (200, 60, 40), 2: (60, 80, 200)}


def cup(name: str) -> NDArray[np.bool_]:
    """Where the red cup of a picture is."""
    return rectangle(SIZES[name], CUP)


def plate(name: str) -> NDArray[np.bool_]:
    """Where the blue plate of a picture is; the lower right corner may cut it."""
    return ellipse(SIZES[name], PLATE) & ~cup(name)


def dialogue(*words: str) -> list[dict[str, str]]:
    """Messages of user and assistant in turn."""
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": text} for n, text in enumerate(words)]


def lines() -> dict[str, list[dict[str, Any]]]:
    """The records of each split, as they are written."""
    return {
        "train": [
            {
                "image": "pictures/1.jpg",
                "messages": dialogue(
                    "What could I drink from?",
                    "From the cup [SEG].",
                    "And eat from?",
                    "Either the plate [SEG] or, if need be, the cup [SEG].",
                ),
                "segments": [
                    {"polygon": [polygon(CUP)]},
                    {"rle": packed(plate("1"))},
                    {"box": list(CUP)},
                ],
            },
            {
                "id": "second",
                "image": "pictures/2.jpg",
                "targets": [
                    {"text": ["the cup", "the red cup"], "segment": {"box": list(CUP)}},
                    {
                        "text": "Which thing is flat?",
                        "segment": {"mask": "masks/2.png"},
                        "explanation": "A plate is flat.",
                    },
                    {"text": "the dog", "segment": None},
                ],
                "info": {"drawn by": "hand"},
            },
            {
                "image": "pictures/3.jpg",
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "How many cups?"},
                            {"type": "image"},
                        ],
                    },
                    {"role": "assistant", "content": "One."},
                ],
                "targets": [
                    {
                        "text": "something red and rectangular",
                        "sentence": True,
                        "segment": {"polygon": [polygon(CUP)]},
                    }
                ],
            },
        ],
        "validation": [
            {
                "image": "pictures/4.jpg",
                "targets": [
                    {"text": "the plate", "segment": {"rle": packed(plate("4"))}},
                    {"text": "the dog", "segment": None},
                ],
            }
        ],
    }


def write_pictures(root: Path) -> None:
    """Write `pictures/1.jpg` to `pictures/4.jpg`."""
    for name, size in SIZES.items():
        numbers = np.zeros(size, np.uint8)
        numbers[plate(name)] = 2
        numbers[cup(name)] = 1
        photograph(numbers, COLOURS, root / "pictures" / f"{name}.jpg")


def write_lines(path: Path, records: list[Any]) -> None:
    """Write a JSONL file; what is a text already is written as it is."""
    texts = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def write(root: Path) -> None:
    """Write `train.jsonl`, `validation.jsonl`, `pictures/` and `masks/`."""
    write_pictures(root)
    label_picture(plate("2").astype(np.uint8) * 255, root / "masks" / "2.png")
    for split, records in lines().items():
        write_lines(root / f"{split}.jsonl", records)
