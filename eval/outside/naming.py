"""Names under which predictions of other systems may speak of a question or a picture."""

from __future__ import annotations

import re

from eval.questions import Picture, Question

_LAST_NUMBER = re.compile(r"(\d+)$")


def readable(name: str) -> str:
    """Return a name that every file system takes."""
    return re.sub(r"[^\w.+-]+", "-", name).strip(".-") or "unnamed"


def question_names(question: Question) -> tuple[str, ...]:
    """Return what stands for one question: its key, also in the form that a file can be named."""
    return question.key, readable(question.key)


def picture_names(picture: Picture) -> tuple[str, ...]:
    """Return what stands for a picture: its key, its file, and COCO's number in the file's name.

    COCO_train2014_000000098304.jpg is also 98304.
    """
    names = [picture.key]
    if picture.file is not None:
        names += [picture.file.name, picture.file.stem]
        number = _LAST_NUMBER.search(picture.file.stem)
        if number:
            names.append(str(int(number[1])))
    return tuple(dict.fromkeys(names))
