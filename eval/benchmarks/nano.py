"""The evaluation of lisa-nano: fixed scenes and photographs that lie in the repository.

A part is one group of questions, or `all`. Beside the model's answers stands the baseline that
answers every question with the largest object of its picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from eval.benchmarks.contract import Benchmark, register_family
from eval.nano.largest_object import largest_object_results
from eval.nano.pictures import GROUPS, select_questions
from eval.nano.pictures import Picture as NanoPicture
from eval.nano.read_photographs import load_photographs
from eval.nano.read_scenes import load_scenes
from eval.questions import Picture
from eval.results import Result
from lisa.data.wordings import Wording

NAME = "nano"
EVERYTHING = "all"
LARGEST = "largest object"
MAX_NEW_TOKENS = 32
"""Answers of `lisa-nano` have about a dozen tokens; a model that rambles is stopped here."""


def largest_object(pictures: Sequence[Picture]) -> list[Result]:
    """Answer every question with the largest object of its picture."""
    return largest_object_results(cast(Sequence[NanoPicture], pictures))


def _open(part: str, data: Path, wording: Wording) -> Benchmark:
    name = f"{NAME}:{part}"
    groups = GROUPS if part == EVERYTHING else (part,)
    pictures = select_questions(_load(groups), groups, None)
    source = "scenes of cut-outs and free photographs, in the words that this project wrote"
    return Benchmark(name, "masks", (), pictures, MAX_NEW_TOKENS, source, {LARGEST: largest_object})


def _load(groups: Sequence[str]) -> tuple[NanoPicture, ...]:
    """Read what the groups need: without the photographs, their packages need not be there."""
    scenes = () if tuple(groups) == ("photographs",) else load_scenes()
    return (*scenes, *(load_photographs() if "photographs" in groups else ()))


register_family(
    NAME,
    parts=(EVERYTHING, *GROUPS),
    usual=(EVERYTHING,),
    about="scenes and photographs in the repository, made for lisa-nano; needs no --data",
    layout="",
    open=_open,
)
