"""A report whose scores are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from eval.questions import Question, Truth
from eval.report.header import Header
from eval.report.report import Report, make_report
from eval.report.run_facts import RunFacts
from eval.results import Answer, GivenSegment, Result, judge
from lisa.data.faults import Fault
from lisa.types import ImageSize

SIZE = ImageSize(20, 30)
HEADER = Header(
    benchmark="own:cups",
    task="masks",
    families=(),
    source="made up",
    protocol="generate",
    system="a model",
    weights="sha256 00",
    wording="lisa",
    max_new_tokens=32,
)
EVIL = '<script>document.title="taken"</script><img src=x onerror="document.title=1"> ${title} $x'


class _Picture:
    def __init__(self, file: Path | None) -> None:
        self.key, self.file = ("none" if file is None else file.stem), file


def mask(columns: int) -> np.ndarray:
    """The left `columns` columns."""
    shown = np.zeros(SIZE, bool)
    shown[:, :columns] = True
    return shown


def result(
    key: str,
    given: int | None,
    right: int = 10,
    *,
    group: str = "naming",
    subsets: tuple[str, ...] = (),
    text: str = "Where is the cup?",
    answer: str | None = "Here [SEG].",
    file: Path | None = None,
) -> Result:
    """An answer of `given` columns (None: no mask) where `right` columns are right."""
    question = Question(key, group, 0 if right else None, text=text, subsets=subsets)
    truth = Truth(SIZE, (mask(right),) if right else ())
    segments = () if given is None else (GivenSegment(mask(given), 0.5),)
    picture = _Picture(file)
    return judge(picture, question, truth, Answer(segments, answer, len(segments)))


def write_picture(folder: Path, name: str = "0.png") -> Path:
    path = folder / name
    Image.new("RGB", (SIZE.width, SIZE.height), (90, 140, 200)).save(path)
    return path


def results(folder: Path) -> list[Result]:
    """Six answers: IoU 1, 0.5, 0, and about absent things one right, one wrong; one is evil."""
    file = write_picture(folder)
    return [
        result("n/1", 10, file=file),
        result("n/2", 5, file=file, subsets=("held_out",), text="Where is the kettle?"),
        result("n/3", None, answer="I do not know.", file=folder / "gone.png"),
        result("a/1", None, 0, group="absent", file=file),
        result("a/2", 30, 0, group="absent", subsets=("held_out",), file=file),
        result(f"e/{EVIL}", 8, group=EVIL, subsets=(EVIL,), text=EVIL, answer=EVIL, file=file),
    ]


def make(answers: Sequence[Result], **changes: object) -> Report:
    options: dict[str, object] = {
        "baselines": {"largest": [result("n/1", 20)]},
        "damaged": [Fault("cups.jsonl:3", f"the picture is gone {EVIL}")],
        "run": RunFacts(12.5, 11.0, 1 << 30, None, 1, 16, "cpu", {"torch": "2"}),
        **changes,
    }
    return make_report(HEADER, answers, **options)  # type: ignore[arg-type]
