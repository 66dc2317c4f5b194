"""Benchmarks by name: pictures, questions, right answers, and how they are scored."""

# Each of these enters its families in FAMILIES.
from eval.benchmarks import (
    groups,
    nano,
    reason_seg,
    referring,
    relations,
    saliency,
    semantic,
    tags,
)
from eval.benchmarks.contract import (
    FAMILIES,
    Benchmark,
    Family,
    known_benchmarks,
    open_benchmark,
    takes_data,
)

__all__ = [
    "FAMILIES",
    "Benchmark",
    "Family",
    "groups",
    "known_benchmarks",
    "nano",
    "open_benchmark",
    "reason_seg",
    "referring",
    "relations",
    "saliency",
    "semantic",
    "tags",
    "takes_data",
]
