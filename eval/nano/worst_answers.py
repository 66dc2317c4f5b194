"""Pictures of the worst answers of each group: the right mask beside the one that was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from eval.answer_pictures import draw_answers
from eval.questions import Picture
from eval.results import Result

ANSWERS_A_GROUP = 6


def save_worst_answers(
    results: Iterable[Result], pictures: Sequence[Picture], folder: Path
) -> list[Path]:
    """Draws the answers with the lowest IoU of each group.

    Args:
        results: Answers that kept their masks.
        pictures: What was asked about.
        folder: Files named after group, IoU and question are written there.

    Returns:
        The files, worst first within each group.
    """
    asked = {q.key: (picture, q) for picture in pictures for q in picture.questions}
    by_group: dict[str, list[Result]] = {}
    for result in results:
        if result.counts.iou < 1:
            by_group.setdefault(result.group, []).append(result)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for group, answers in by_group.items():
        answers.sort(key=lambda answer: (answer.counts.iou, answer.key))
        for answer in answers[:ANSWERS_A_GROUP]:
            name = f"{group}-{answer.counts.iou:.3f}-{answer.key.replace('/', '-')}.png"
            draw_answers([(*asked[answer.key], answer)]).save(folder / name)
            written.append(folder / name)
    return written
