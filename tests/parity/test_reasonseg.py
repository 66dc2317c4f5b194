"""ReasonSeg's annotations as pixels, against masks that the original drew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lisa.data.mask_sources import MaskSource
from lisa.data.readers.reason_seg import ReasonSeg
from lisa.data.readers.reason_seg_masks import IGNORED, TARGET
from lisa.data.records import Record
from tests.parity.golden import Case, each_case

pytest.importorskip("cv2", reason="drawing polygons needs `pip install 'lisa-assistant[train]'`")

each_reasonseg = each_case("reasonseg_masks")


def _expected(case: Case) -> dict[str, dict[str, Any]]:
    samples = json.loads((case.path / "expected.json").read_text(encoding="utf-8"))["samples"]
    return {sample["name"]: sample for sample in samples}


def _records(case: Case) -> dict[str, Record]:
    folders = {path.parent for path in case.path.glob("dataset/reason_seg/*/*/*.jpg")}
    read: dict[str, Record] = {}
    for folder in sorted(folders):
        reader = ReasonSeg(folder.parent, folder.name)
        read |= {
            Path(record.key).name: record for record in map(reader.__getitem__, range(len(reader)))
        }
    return read


def _accepted(case: Case, name: str, names: list[str]) -> list[np.ndarray]:
    """The recorded mask and, where the manifest grants some, the other results that are right."""
    granted = case.path / case.manifest.get("alternatives", "none")
    others = [
        path
        for path in sorted(granted.glob(f"{name}*.png"))
        if max((n for n in names if path.stem.startswith(n)), key=len) == name
    ]
    paths = [case.path / "masks" / f"{name}.png", *others]
    return [np.asarray(Image.open(path)) for path in paths]


def _labels(record: Record) -> np.ndarray:
    (target,) = record.targets
    labels = np.zeros(record.size, dtype=np.uint8)
    layers: list[tuple[int, MaskSource | None]] = [(TARGET, target.mask), (IGNORED, target.ignore)]
    for value, source in layers:
        if source is not None:
            labels[source.read()] = value
    return labels


@each_reasonseg
def test_masks_are_equal_pixel_for_pixel(case: Case) -> None:
    expected, records = _expected(case), _records(case)
    assert sorted(records) == sorted(expected)
    for name in expected:
        labels = _labels(records[name])
        accepted = _accepted(case, name, list(expected))
        assert any(np.array_equal(labels, mask) for mask in accepted), name


@each_reasonseg
def test_texts_sizes_and_counts_are_equal(case: Case) -> None:
    expected, records = _expected(case), _records(case)
    for name, sample in expected.items():
        (target,) = records[name].targets
        wording = "sentence" if sample["is_sentence"] else "name"
        assert [e.text for e in target.expressions] == [t.strip() for t in sample["text_returned"]]
        assert {e.wording for e in target.expressions} == {wording}
        assert records[name].size == (sample["height"], sample["width"])
        if not sample["has_area_ties"]:
            counts = {v: int(np.count_nonzero(_labels(records[name]) == v)) for v in (0, 1, 255)}
            assert counts == {v: sample[f"count_{v}"] for v in counts}, name
