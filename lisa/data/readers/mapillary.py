"""Mapillary Vistas 2.0: street scenes in label pictures with a palette."""

from __future__ import annotations

from pathlib import Path

from lisa.data.readers.contract import register_reader, require_files
from lisa.data.readers.label_maps import LabelMapReader, find_pictures
from lisa.data.readers.paths import read_json
from lisa.errors import DataError

_FOLDERS = {"train": "training", "val": "validation"}


@register_reader("mapillary")
class Mapillary(LabelMapReader):
    """Mapillary Vistas 2.0; its root is the folder of the release.

    On disk, `training` and `validation` alike:

        config_v2.0.json                          {"labels": [{"name": "animal--bird",
                                                   "readable": "Bird", "color": [165, 42, 42],
                                                   "instances": true, "evaluate": true}, ...]}
        training/images/_1Gn_xkw7sa_i9GU4mkxxQ.jpg
        training/v2.0/labels/_1Gn_xkw7sa_i9GU4mkxxQ.png     palette; an index is a place in "labels"

    A label picture with the indices 0 and 21 becomes

        Record("train/_1Gn_xkw7sa_i9GU4mkxxQ", image=training/images/..., size=(H, W), targets=(
            Target((Expression("Bird"),), where it is 0),
            Target((Expression("Road"),), where it is 21)))

    The last label, "Unlabeled", is a class like the others, as it is in LISA. 255 is void.
    """

    void = frozenset({255})

    def __init__(self, root: Path, split: str | None = None) -> None:
        chosen = self.chosen_split(split)
        config, folder = root / "config_v2.0.json", root / _FOLDERS[chosen]
        require_files("Mapillary Vistas", config)
        self.names = dict(enumerate(_read_labels(config)))
        self.pictures = find_pictures(
            "Mapillary Vistas", chosen, folder / "images", folder / "v2.0" / "labels"
        )


def _read_labels(path: Path) -> list[str]:
    config = read_json(path)
    labels = config.get("labels") if isinstance(config, dict) else None
    if not isinstance(labels, list) or not labels:
        raise DataError(f"{str(path)!r} must be an object with a list 'labels': get it again.")
    names = [label.get("readable") if isinstance(label, dict) else None for label in labels]
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise DataError(
                f"{str(path)!r}, label {number}: 'readable' must be the name of a class, "
                f"not {name!r:.80}."
            )
    return [str(name).strip() for name in names]
