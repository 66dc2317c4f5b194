"""Co-salient object detection: MAE, F-, S- and E-measure of maps, through pysodmetrics.

A map is scored against its picture's mask; the figures are means over pictures. F (beta^2 = 0.3)
and E have a value for each of 256 thresholds: `max F` is the maximum of the mean curve over the
pictures, not the mean of their maxima; `mean F` its mean; `adaptive F` the mean over pictures at
each one's own threshold, twice the mean of its map.

The package divides E by one pixel less than there are, so that a perfect map has slightly more
than 1: its values are kept as they are, to compare with published ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eval.metrics.bootstrap import (
    RESAMPLES,
    Measurement,
    Weights,
    from_draws,
    in_order,
    with_intervals,
)
from eval.metrics.figures import Figure
from lisa.errors import DataError, MissingDependencyError

_BETA_SQUARED = 0.3
_ALPHA = 0.5


@dataclass(frozen=True)
class SaliencyRecord:
    """One picture.

    Attributes:
        key: Of the picture.
        mae: Mean absolute error in [0, 1].
        s_measure: In [0, 1].
        adaptive_f: In [0, 1].
        adaptive_e: In [0, 1] but for the division above.
        f_curve: F for the thresholds from 255 down to 0.
        e_curve: E for the same thresholds.
    """

    key: str
    mae: float
    s_measure: float
    adaptive_f: float
    adaptive_e: float
    f_curve: tuple[float, ...]
    e_curve: tuple[float, ...]


def judge_saliency(key: str, prediction: ArrayLike, truth: ArrayLike) -> SaliencyRecord:
    """Score one map.

    Args:
        key: Of the picture.
        prediction: `uint8 (H, W)`, 255 for what is surely salient; the package stretches it to the
            full range. `bool (H, W)` for a mask.
        truth: `bool (H, W)`.

    Raises:
        DataError: If the shapes differ, or a map is of another type or has fewer than two pixels.
        MissingDependencyError: If pysodmetrics is not installed.
    """
    shown, right = np.asarray(prediction), np.asarray(truth)
    if shown.dtype == np.bool_:
        shown = shown.astype(np.uint8) * 255
    if shown.dtype != np.uint8 or right.dtype != np.bool_:
        raise DataError(
            f"{key}: a map of {shown.dtype} and a mask of {right.dtype} cannot be compared: give "
            "uint8 or bool, and bool."
        )
    if shown.shape != right.shape or shown.ndim != 2 or shown.size < 2:
        raise DataError(
            f"{key}: a map of {shown.shape} and a mask of {right.shape} cannot be compared: give "
            "two of the same (height, width), with two pixels or more."
        )
    metrics = _metrics()
    with warnings.catch_warnings():
        # The package means to rename the class one day; the golden values are this one's.
        warnings.filterwarnings("ignore", message="This class will be removed")
        f = metrics.Fmeasure(beta=_BETA_SQUARED)
    mae, s, e = metrics.MAE(), metrics.Smeasure(alpha=_ALPHA), metrics.Emeasure()
    for one in (f, mae, s, e):
        one.step(pred=shown, gt=right.astype(np.uint8) * 255)
    f_values, e_values = f.get_results()["fm"], e.get_results()["em"]
    return SaliencyRecord(
        key=key,
        mae=float(mae.get_results()["mae"]),
        s_measure=float(s.get_results()["sm"]),
        adaptive_f=float(f_values["adp"]),
        adaptive_e=float(e_values["adp"]),
        f_curve=tuple(f_values["curve"].tolist()),
        e_curve=tuple(e_values["curve"].tolist()),
    )


def saliency_figures(records: Iterable[SaliencyRecord], seed: int = 0) -> tuple[Figure, ...]:
    """Return the figures of `saliency_measurement` with their intervals."""
    return with_intervals(saliency_measurement(records), seed)


def saliency_measurement(records: Iterable[SaliencyRecord]) -> Measurement:
    """Measure MAE, S, and max, mean and adaptive F and E.

    Raises:
        DataError: If a picture is there twice.
    """
    kept = in_order(records)
    names = ["MAE", "S", "max F", "mean F", "adaptive F", "max E", "mean E", "adaptive E"]
    figures = [
        Figure(name, None, n=len(kept), note="lower is better" if name == "MAE" else "")
        for name in names
    ]
    single = np.array([[one.mae, one.s_measure, one.adaptive_f, one.adaptive_e] for one in kept])
    f_curves = np.array([one.f_curve for one in kept])
    e_curves = np.array([one.e_curve for one in kept])

    def statistic(weights: Weights) -> list[float]:
        total = weights.sum()
        # einsum's sums do not depend on how many threads BLAS has.
        mae, s, adaptive_f, adaptive_e = np.einsum("n,nc->c", weights, single) / total
        f_curve = np.einsum("n,nc->c", weights, f_curves) / total
        e_curve = np.einsum("n,nc->c", weights, e_curves) / total
        f = [f_curve.max(), f_curve.mean(), adaptive_f]
        e = [e_curve.max(), e_curve.mean(), adaptive_e]
        return [float(value) for value in (mae, s, *f, *e)]

    keys = [one.key for one in kept]
    return from_draws(keys, [""] * len(keys), figures, statistic, RESAMPLES)


def _metrics() -> Any:
    try:
        import py_sod_metrics
    except ImportError as error:
        raise MissingDependencyError(
            "Saliency maps are scored by pysodmetrics, which is not installed: "
            "pip install --no-deps 'pysodmetrics>=1.6'"
        ) from error
    return py_sod_metrics
