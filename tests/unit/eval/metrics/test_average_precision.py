"""Mask AP against pycocotools used in the plain way."""

from __future__ import annotations

import contextlib
import io
import random
from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from eval.metrics import (
    InstanceRecord,
    ScoredInstance,
    TrueInstance,
    average_precision_figures,
    average_precision_measurement,
)
from lisa.errors import DataError
from lisa.masks import encode_rle
from tests.unit.eval.metrics.families import draw_instances

ROW = encode_rle(np.eye(6, dtype=bool))


def _records(seed: int, size: int = 25) -> list[InstanceRecord]:
    rng = random.Random(seed)
    return [draw_instances(rng, number) for number in range(size)]


def _plain(records: list[InstanceRecord]) -> list[float]:
    """AP, AP50 and AP75 of the whole area from the printed summary's numbers."""
    truth, found = COCO(), []
    truth.dataset = {
        "images": [{"id": n, "height": 8, "width": 9} for n in range(len(records))],
        "categories": [{"id": 1}, {"id": 7}],
        "annotations": [],
    }
    for number, record in enumerate(records):
        for one in record.truth:
            truth.dataset["annotations"].append(
                {
                    "id": len(truth.dataset["annotations"]) + 1,
                    "image_id": number,
                    "category_id": one.category,
                    "segmentation": dict(one.mask),
                    "area": float(coco_masks.area(dict(one.mask))),
                    "iscrowd": int(one.crowd),
                }
            )
        found += [
            {
                "image_id": number,
                "category_id": one.category,
                "segmentation": dict(one.mask),
                "score": one.score,
            }
            for one in record.predicted
        ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        coco = COCOeval(truth, truth.loadRes(found), "segm")
        coco.evaluate()
        coco.accumulate()
        coco.summarize()
    return coco.stats[:3].tolist()


@pytest.mark.parametrize("seed", range(4))
def test_figures_equal_plain_pycocotools(seed, capsys):
    records = _records(seed)
    figures = average_precision_measurement(records).figures
    assert [figure.name for figure in figures] == ["AP", "AP50", "AP75"]
    assert 0 < figures[0].value < 1
    assert [figure.value for figure in figures] == pytest.approx(_plain(records), abs=1e-12)
    assert capsys.readouterr().out == ""


def test_categories_may_be_ignored_or_absent():
    records = _records(1)
    renamed = [
        replace(
            record,
            truth=tuple(replace(one, category=None) for one in record.truth),
            predicted=tuple(replace(one, category=None) for one in record.predicted),
        )
        for record in records
    ]
    ignored = average_precision_measurement(records, class_agnostic=True).figures
    assert ignored == average_precision_measurement(renamed).figures
    assert ignored != average_precision_measurement(records).figures


def test_wrong_category_finds_nothing():
    record = InstanceRecord("a", (TrueInstance(ROW, 1),), (ScoredInstance(ROW, 0.9, 2),))
    assert average_precision_measurement([record]).figures[0].value == 0
    (any_category, *_) = average_precision_measurement([record], class_agnostic=True).figures
    assert any_category.value == pytest.approx(1)


def test_nothing_to_find_has_no_value():
    record = InstanceRecord("a", (), (ScoredInstance(ROW, 0.9),))
    other = replace(record, key="b")
    assert [one.value for one in average_precision_figures([record, other])] == [None] * 3


def test_malformed_records_are_refused():
    other = encode_rle(np.eye(7, dtype=bool))
    one = InstanceRecord("kite", (TrueInstance(ROW),), (ScoredInstance(other, 0.5),))
    with pytest.raises(DataError, match="kite: a mask is of 7 x 7 pixels, another one of 6 x 6"):
        average_precision_measurement([one])
    odd = replace(one, predicted=(ScoredInstance(ROW, float("nan")),))
    with pytest.raises(DataError, match="kite: an instance has the score nan"):
        average_precision_measurement([odd])
    bomb = replace(one, predicted=(ScoredInstance({"size": [10**5, 10**5], "counts": "1"}, 0.5),))
    with pytest.raises(DataError, match="above the limit"):
        average_precision_measurement([bomb])
