"""Mask scores against values recorded from the original implementations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from eval.metrics import (
    Figure,
    GresRecord,
    PixelCounts,
    Relation,
    SceneGraph,
    TagRecord,
    count_pixels,
    gres_measurement,
    judge_saliency,
    judge_scene_graph,
    saliency_measurement,
    scene_graph_measurement,
    score_as_released,
    tagging_measurement,
)
from lisa.masks import decode_rle, encode_rle, mask_to_box, polygons_to_mask
from lisa.types import ImageSize
from tests.parity.golden import Case, each_case, tolerance

IGNORED = 255

each_lisa = each_case("lisa_metrics")


def _load(case: Case) -> tuple[dict[str, Any], list[tuple[np.ndarray, np.ndarray]], float]:
    expected = json.loads((case.path / "expected.json").read_text(encoding="utf-8"))
    tensors = {name: value.numpy() for name, value in case.tensors("inputs.safetensors").items()}
    pairs = range(expected["n_pairs"])
    read = [(tensors[f"logits.{i}"] > 0, tensors[f"target.{i}"]) for i in pairs]
    return expected, read, tolerance(case.manifest, "scores")[0]


def _foreground(prediction: np.ndarray, target: np.ndarray) -> PixelCounts:
    return count_pixels(prediction, target == 1, ignore=target == IGNORED)


@each_lisa
def test_counts_of_each_pair_are_exact(case: Case) -> None:
    expected, pairs, _ = _load(case)
    assert pairs
    for row in expected["per_pair"]:
        prediction, target = pairs[row["pair"]]
        ignore = target == IGNORED
        background = count_pixels(~prediction, target == 0, ignore)
        foreground = _foreground(prediction, target)
        for index, counts in enumerate((background, foreground)):
            assert counts.intersection == row["intersection"][index], row["kind"]
            assert counts.union == row["union"][index], row["kind"]
            assert counts.target == row["target"][index], row["kind"]
            # The original adds 1e-5 to the union, which shows in unions of a few pixels.
            assert counts.iou == pytest.approx(row["iou_with_empty_rule"][index], abs=1e-5)


@each_lisa
def test_scores_of_single_pairs(case: Case) -> None:
    expected, pairs, atol = _load(case)
    for row in expected["per_pair"]:
        alone = score_as_released([_foreground(*pairs[row["pair"]])])
        assert alone.giou == pytest.approx(row["validate_giou_alone"], abs=atol), row["kind"]
        assert alone.ciou == pytest.approx(row["validate_ciou_alone"], abs=atol), row["kind"]


@each_lisa
def test_scores_of_all_pairs_do_not_depend_on_grouping(case: Case) -> None:
    expected, pairs, atol = _load(case)
    records = [_foreground(*pair) for pair in pairs]
    grouped = [records[i] for image in expected["images_of_several_masks"] for i in image]
    for recorded, kept in (("all_pairs_one_per_image", records), ("grouped_images", grouped)):
        scores = score_as_released(kept)
        assert scores.n == len(pairs)
        assert scores.giou == pytest.approx(expected[recorded]["giou"], abs=atol)
        assert scores.ciou == pytest.approx(expected[recorded]["ciou"], abs=atol)


def _values(figures: Iterable[Figure]) -> dict[str, float | None]:
    return {figure.name: figure.value for figure in figures}


def _recorded(case: Case) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((case.path / "metrics.json").read_text(encoding="utf-8"))
    return recorded


def _near(case: Case, name: str, expected: float) -> Any:
    atol, rtol = tolerance(case.manifest, name)
    return pytest.approx(expected, abs=atol, rel=rtol)


each_grefcoco = each_case("metric_grefcoco")


def _gres(case: Case) -> list[GresRecord]:
    tensors = _arrays(case, "inputs.safetensors")
    records = []
    for number, absent in enumerate(tensors["gt_no_target"]):
        masks = (tensors[f"s{number:03d}.{side}_mask"] > 0 for side in ("pred", "gt"))
        counts = count_pixels(*masks)
        records.append(
            GresRecord(
                f"{number:03d}",
                "",
                counts.intersection,
                counts.union,
                targeted=not absent,
                rejected=bool(tensors["pred_no_target"][number]),
            )
        )
    return records


def _arrays(case: Case, name: str) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in case.tensors(name).items()}


@each_grefcoco
def test_gres_samples(case: Case) -> None:
    expected = _arrays(case, "outputs.safetensors")
    for number, record in enumerate(_gres(case)):
        assert record.counted_intersection == expected["per_sample.I"][number]
        assert record.counted_union == expected["per_sample.U"][number]
        assert record.iou == _near(case, "per_sample.IoU", expected["per_sample.IoU"][number])


@each_grefcoco
def test_gres_figures(case: Case) -> None:
    records = _gres(case)
    is_refcoco = _arrays(case, "outputs.safetensors")["mixed.is_refcoco"] == 1
    runs = _recorded(case)
    chosen = {
        ("all_grefcoco", "grefcoco"): records,
        ("targeted_only", "grefcoco"): [one for one in records if one.targeted],
        ("mixed_sources", "full"): records,
    }
    for source in (0, 1):
        chosen["mixed_sources", ("grefcoco", "refcoco")[source]] = [
            one for one, flag in zip(records, is_refcoco, strict=True) if flag == source
        ]
    for (run, source), kept in chosen.items():
        ours = _values(gres_measurement(kept).figures)
        for name, expected in runs[run][source].items():
            if name in ("T_acc", "N_acc"):
                ours_name = name.replace("_", "-")
                if any(not one.targeted for one in kept):
                    assert ours[ours_name] == _near(case, name, expected), run
                else:
                    # The original prints 0 for what it has not measured.
                    assert expected == 0
                    assert ours["N-acc"] is None
                    assert ours["T-acc (as released)"] == expected
            else:
                assert ours[name] == _near(case, name, expected / 100), (run, source, name)


each_psg = each_case("metric_psg")


def _graphs(
    tensors: dict[str, np.ndarray], number: int, given_truth: bool
) -> tuple[SceneGraph, SceneGraph | None]:
    one = {
        name.split(".")[1]: value
        for name, value in tensors.items()
        if name.startswith(f"img{number:02d}.")
    }
    truth = SceneGraph(
        one["gt_idmap"] == one["gt_segment_ids"][:, None, None],
        one["gt_labels"].tolist(),
        [Relation(s, o, p - 1) for s, o, p in one["gt_rels"].tolist()],
    )
    if "pred_masks" not in one:
        return truth, None
    predicates = one["pred_rel_dists"][:, 1:].argmax(axis=1).tolist()
    pairs = one["pred_pairs"].tolist()
    relations = [Relation(*pair, p) for pair, p in zip(pairs, predicates, strict=True)]
    width = truth.masks.shape[2]
    masks = np.unpackbits(one["pred_masks"], axis=-1)[..., :width].astype(bool)
    if given_truth:
        things = len(truth.labels)
        relations = [r for r in relations if max(r.subject, r.object) < things]
        return truth, SceneGraph(truth.masks, truth.labels, relations)
    return truth, SceneGraph(masks, one["pred_labels"].tolist(), relations)


@each_psg
def test_psg_figures(case: Case) -> None:
    tensors, expected = (_arrays(case, f"{name}puts.safetensors") for name in ("in", "out"))
    recorded = _recorded(case)
    pictures = [one["index"] for one in recorded["images"]]
    for task in ("sgdet", "predcls"):
        given_truth = task == "predcls"
        asked = expected["predcls.counted_images"].tolist() if given_truth else pictures
        records = [
            judge_scene_graph(f"{number:03d}", *_graphs(tensors, number, given_truth))
            for number in asked
        ]
        counted = [int(one.key) for one in records if one.predicates and not one.skipped]
        assert counted == expected[f"{task}.counted_images"].tolist()
        figures = {figure.name: figure for figure in scene_graph_measurement(records).figures}
        for name, value in recorded["metrics"][task].items():
            variant = "phrase " if name.startswith("phrdet") else ""
            kind, cut_off = name.split("_")[-2:]
            figure = figures[f"{variant}{kind}@{cut_off}"]
            assert figure.n == len(counted)
            assert figure.value == _near(case, name, value), name
        if not given_truth:
            # Other reading: pictures without predicted relations count 0.
            with_relations = [one for one in records if one.predicates]
            assert len(with_relations) > len(counted)
            for cut_off in (20, 50, 100):
                all_of_them = figures[f"R@{cut_off} (empty predictions count 0)"].value
                share = len(counted) / len(with_relations)
                assert all_of_them == pytest.approx(figures[f"R@{cut_off}"].value * share)


@each_psg
def test_psg_pictures(case: Case) -> None:
    tensors, expected = (_arrays(case, f"{name}puts.safetensors") for name in ("in", "out"))
    for row, number in enumerate(expected["sgdet.counted_images"].tolist()):
        record = judge_scene_graph(str(number), *_graphs(tensors, number, False))
        for variant, ranks in (("sgdet", record.ranks), ("phrdet", record.phrase_ranks)):
            for cut_off in (20, 50, 100):
                found = sum(rank is not None and rank < cut_off for rank in ranks) / len(ranks)
                name = f"{variant}.per_image_recall_{cut_off}"
                assert found == _near(case, name, expected[name][row]), (number, name)


each_tagging = each_case("metric_tagging")


@each_tagging
def test_tagging_figures(case: Case) -> None:
    tensors, expected = (_arrays(case, f"{name}puts.safetensors") for name in ("in", "out"))
    recorded = _recorded(case)
    tags = recorded["taglist"]
    shown = tensors["targets"] == 1
    for run, values in recorded["metrics"].items():
        thresholds = tensors["thresholds"] if run == "per_class_thresholds" else 0.5
        of_run = shown.copy()
        if "duplicate" in run:
            twins = [int(part) for part in run.split("_") if part.isdigit()]
            of_run[:, twins] = shown[:, twins].any(axis=1, keepdims=True)
        records = [
            TagRecord(f"{number:03d}", row, right)
            for number, (row, right) in enumerate(
                zip(tensors["probabilities"], of_run, strict=True)
            )
        ]
        ours = _values(tagging_measurement(records, thresholds, tags, per_class=True).figures)
        for name, value in values.items():
            assert ours[name] == _near(case, name, value), (run, name)
        prefix = "duplicate" if "duplicate" in run else run
        for kind in ("AP", "P", "R"):
            per_class = expected.get(f"{prefix}.{kind}", ())
            for tag, value in zip(tags, per_class, strict=False):
                # The original counts a class that has nothing to score as 0.
                got = ours[f"{kind}: {tag}"] or 0.0
                assert got == _near(case, f"{prefix}.{kind}", value), (run, kind, tag)
        occurring = int(of_run.any(axis=0).sum())
        assert 0 < occurring < len(tags)
        assert ours["mAP (classes that occur)"] == pytest.approx(
            values["mAP"] * len(tags) / occurring, abs=1e-7
        )


each_cosod = each_case("metric_cosod")


@each_cosod
def test_saliency_figures(case: Case) -> None:
    pytest.importorskip("py_sod_metrics")
    tensors, expected = (_arrays(case, f"{name}puts.safetensors") for name in ("in", "out"))
    numbers = range(len(tensors) // 2)
    records = [
        judge_saliency(f"{n:03d}", tensors[f"m{n:02d}.pred"], tensors[f"m{n:02d}.gt"] > 128)
        for n in numbers
    ]
    for name, attribute in (
        ("mae", "mae"),
        ("sm", "s_measure"),
        ("adp_fm", "adaptive_f"),
        ("adp_em", "adaptive_e"),
    ):
        for number in numbers:
            full = f"per_image.{name}"
            value = getattr(records[number], attribute)
            assert value == _near(case, full, expected[full][number]), (number, name)
    ours = _values(saliency_measurement(records).figures)
    renamed = {"MAE": "MAE", "Smeasure": "S"}
    for letter in "FE":
        for short, long in (("max", "max"), ("mean", "mean"), ("adp", "adaptive")):
            renamed[short + letter] = f"{long} {letter}"
    recorded = _recorded(case)
    for name, our_name in renamed.items():
        assert ours[our_name] == _near(case, name, recorded[name]), name


each_rle = each_case("metric_rle")


@each_rle
def test_run_lengths(case: Case) -> None:
    tensors, expected = (_arrays(case, f"{name}puts.safetensors") for name in ("in", "out"))
    recorded = json.loads((case.path / "rle.json").read_text(encoding="utf-8"))
    assert recorded["masks"]
    for one in recorded["masks"]:
        mask = tensors[f"m{one['index']:02d}"] > 0
        assert encode_rle(mask) == {"size": one["size"], "counts": one["counts"]}, one["name"]
        for counts in (one["counts"], one["uncompressed_counts"]):
            decoded = decode_rle({"size": one["size"], "counts": counts})
            np.testing.assert_array_equal(decoded, mask, err_msg=one["name"])
        left, top, width, height = one["bbox_xywh"]
        box = mask_to_box(mask)
        assert box == ((left, top, left + width, top + height) if one["area"] else None)
    for number, one in enumerate(recorded["polygons"]):
        filled = polygons_to_mask(one["segmentation"], ImageSize(one["height"], one["width"]))
        np.testing.assert_array_equal(filled, expected[f"poly{number}.mask"] > 0)


@each_rle
def test_iou_of_masks(case: Case) -> None:
    tensors, expected = (_arrays(case, f"{name}puts.safetensors") for name in ("in", "out"))
    masks = [tensors[f"group{number}"] > 0 for number in range(6)]
    ious = [[count_pixels(one, other).iou for other in masks[3:]] for one in masks[:3]]
    np.testing.assert_allclose(ious, expected["iou_group"], atol=1e-12)
