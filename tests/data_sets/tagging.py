"""Lists of tags as recognize-anything ships them, and predictions in the forms that it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TAGS = ("tree", "house", "street light", "dog")
# Picture and its tags; the last has none, as some of ImageNet-Multi.
PICTURES = {
    "0a1b2c/000026e7ee790996": ("tree", "house"),
    "0a1b2c/0000575f5a03db70": ("street light",),
    "ff0011/00006c07d2b033d1": ("house", "dog"),
    "ff0011/000045257f66b9e2": (),
}
OPENIMAGES = ("openimages_common_214", "openimages_rare_200")
BY_LINE = {"hico": "hico_600", "imagenet_multi": "imagenet_multi_1000"}


def shown() -> NDArray[np.float64]:
    """`(pictures, tags)`: 1 where a tag is right."""
    return np.array([[float(tag in tags) for tag in TAGS] for tags in PICTURES.values()])


def picture_names(name: str) -> list[str]:
    """As the lists of a data set have them."""
    return [f"{one.replace('/', '_')}.jpg" if name in BY_LINE else one for one in PICTURES]


def write(root: Path) -> None:
    """Write the folder `datasets`, without pictures."""
    for name in OPENIMAGES:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}_ram_taglist.txt").write_text("".join(f"{tag}\n" for tag in TAGS))
        rows = [",".join((picture, *tags)) for picture, tags in PICTURES.items()]
        (folder / f"{name}_ram_annots.txt").write_text("".join(f"{row}\n" for row in rows))
    numbers = [" ".join(str(TAGS.index(tag)) for tag in tags) for tags in PICTURES.values()]
    for name, prefix in BY_LINE.items():
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{prefix}_taglist.txt").write_text("".join(f"{tag}\n" for tag in TAGS))
        rows = [f"{one},{said}" for one, said in zip(picture_names(name), numbers, strict=True)]
        (folder / f"{prefix}_annots.txt").write_text("".join(f"{row}\n" for row in rows))
    common = root / OPENIMAGES[0]
    ids = {tag: str(10 * place + 7) for place, tag in enumerate(TAGS)}
    (common / f"{OPENIMAGES[0]}_tag2text_tagidlist.txt").write_text(
        "".join(f"{one}\n" for one in ids.values())
    )
    rows = [",".join((one, *(ids[tag] for tag in tags))) for one, tags in PICTURES.items()]
    (common / f"{OPENIMAGES[0]}_tag2text_idannots.txt").write_text(
        "".join(f"{row}\n" for row in rows)
    )
