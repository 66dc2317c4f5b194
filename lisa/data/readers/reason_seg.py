"""ReasonSeg: pictures, what one may ask about them, and the polygons that answer it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeGuard

from lisa.data.readers.contract import Reader, register_reader, require_files
from lisa.data.readers.paths import read_json
from lisa.data.readers.picture_size import picture_size
from lisa.data.readers.reason_seg_masks import IGNORED, TARGET, Drawing, DrawnMask, read_shapes
from lisa.data.records import Expression, Record, Target
from lisa.errors import ConfigError, DataError


@register_reader("reason_seg")
class ReasonSeg(Reader):
    """ReasonSeg as released by LISA's authors; several splits are joined with "+" ("train+val").

    `root` is the folder `ReasonSeg` (`reason_seg/ReasonSeg` in LISA's layout):

        train/*.jpg and, of the same name, *.json; val and test likewise
        explanatory/train.json      (optional: without it no record has an explanation)

    One annotation, `train/7.json` (in UTF-8 or, some of them, in cp1252; other keys are unread):

        {"text": ["What would I put on in the rain?", "Find what keeps one dry."],
         "is_sentence": true,
         "shapes": [{"label": "target", "points": [[10.0, 12.5], [30.0, 12.5], [30.0, 40.0]]},
                    {"label": "ignore", "points": [[14, 15], [16, 15], [16, 20]]}]}

    and its explanation, found by the picture's file name:

        [{"image": "7.jpg", "query": "...", "outputs": "A coat keeps the rain off."}]

    It becomes a record "train/7" with one target. Its expressions are the texts, of wording
    "sentence" where `is_sentence` is true and "name" elsewhere. Its mask is drawn from the target
    polygons and `ignore` from the ignored ones (`reason_seg_masks`), so that a score can leave
    those pixels out while training takes them as background, as LISA does. A picture without any
    polygon has an empty mask. The explanation is `outputs`; `query` is left unread, as by LISA.
    """

    task = "reasoning"
    splits = ("train", "val", "test")
    default_split = "train"

    def __init__(self, root: Path, split: str | None = None) -> None:
        names = self.chosen_split(split).split("+")
        require_files("ReasonSeg", *(root / name for name in names))
        self._items = [(name, picture) for name in names for picture in _pictures(root / name)]
        self._explanations = _read_explanations(root / "explanatory" / "train.json")

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._items)

    def __getitem__(self, index: int) -> Record:
        """Read the annotation of a picture."""
        split, picture = self._items[index]
        path = picture.with_suffix(".json")
        size = picture_size(picture)
        annotation = read_json(path)
        try:
            expressions = _read_expressions(annotation)
            shapes = read_shapes(annotation.get("shapes"))
        except DataError as error:
            raise DataError(f"{str(path)!r}: {error}") from error
        drawing = Drawing(shapes, size)
        ignores = any(shape.value == IGNORED for shape in shapes)
        target = Target(
            expressions,
            DrawnMask(drawing, TARGET),
            ignore=DrawnMask(drawing, IGNORED) if ignores else None,
            explanation=self._explanations.get(picture.name),
        )
        return Record(f"{split}/{picture.stem}", picture, size, targets=(target,))

    def chosen_split(self, split: str | None) -> str:
        """Return the split, or the splits joined with "+", that the user named."""
        wanted = "train" if split is None else split
        names = [super(ReasonSeg, self).chosen_split(name) for name in wanted.split("+")]
        if len(set(names)) < len(names):
            raise ConfigError(f"ReasonSeg's split {split!r} names one twice: name each once.")
        return "+".join(names)


def _pictures(folder: Path) -> list[Path]:
    """Return the pictures of a split, each of which has its annotation and the other way round."""
    names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    pictures = {name.removesuffix(".jpg") for name in names if name.endswith(".jpg")}
    annotations = {name.removesuffix(".json") for name in names if name.endswith(".json")}
    alone = [f"{name}.json" for name in pictures - annotations]
    alone += [f"{name}.jpg" for name in annotations - pictures]
    if alone or not pictures:
        missing = f"{len(alone)} files, such as {min(alone)!r}," if alone else "all pictures"
        raise DataError(
            f"{str(folder)!r} is not complete: {missing} are not there; every picture (.jpg) needs "
            "the annotation (.json) of the same name. Unpack the release again."
        )
    return [folder / f"{name}.jpg" for name in sorted(pictures)]


def _read_expressions(annotation: Any) -> tuple[Expression, ...]:
    if not isinstance(annotation, dict):
        raise DataError("it must be an object with 'text', 'is_sentence' and 'shapes'.")
    texts, is_sentence = annotation.get("text"), annotation.get("is_sentence")
    if not isinstance(texts, list) or not texts or not all(map(_is_text, texts)):
        raise DataError(f"'text' must be a list of one or more questions, not {texts!r:.80}.")
    if not isinstance(is_sentence, bool):
        raise DataError(f"'is_sentence' must be true or false, not {is_sentence!r:.80}.")
    return tuple(Expression(text.strip(), "sentence" if is_sentence else "name") for text in texts)


def _read_explanations(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{str(path)!r} must be a list of {{image, query, outputs}}.")
    explanations = {}
    for position, entry in enumerate(entries):
        fields = entry if isinstance(entry, dict) else {}
        image, outputs = fields.get("image"), fields.get("outputs")
        if not (_is_text(image) and _is_text(outputs)):
            raise DataError(
                f"{str(path)!r}, entry {position}: it must be an object with the texts 'image' and "
                f"'outputs', not {entry!r:.80}."
            )
        explanations[image] = outputs.strip()
    return explanations


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())
