"""Questions with right answers from the records of any data set that can be read.

A data set's task decides how its records are asked about:

- *referring* and *reasoning*: every expression is a question of its own;
- *semantic*: a region's names mean the same, so its first one is asked;
- *dialogue*, and conversations in any data set: every turn is asked whose answer points at
  something, after the turns before as the data set has them. Answers without masks are not asked
  for: no mask says whether they are right.

Names and sentences are put into the one wording that `Wording.asked_name` and
`Wording.asked_sentence` fix. Where the same words stand for several regions of a picture, they are
asked once and the right answer is the union. A thing that is not in the picture is asked for like
any other; the right answer is the empty mask.

Published benchmarks have rules of their own (`eval.benchmarks`); they share `make_questions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eval.questions import BoolMask, Question, Truth
from lisa.data.mask_sources import MaskSource
from lisa.data.readers import Reader, Task
from lisa.data.readers.coco_index import AnnotationMask
from lisa.data.readers.picture_size import picture_size
from lisa.data.records import Dialogue, Expression, Record, Target
from lisa.data.spread import spread
from lisa.data.wordings import Wording, words_of
from lisa.errors import DataError
from lisa.images import open_image
from lisa.tokens import SEG_TOKEN
from lisa.types import Conversation, ImageSize

if TYPE_CHECKING:
    from PIL import Image

ABSENT = "absent"
DIALOGUE = "dialogue"


@dataclass(frozen=True)
class DataSet:
    """A data set that is asked about.

    Attributes:
        name: Group of its questions.
        reader: The data set.
    """

    name: str
    reader: Reader


@dataclass(frozen=True)
class RecordPlace:
    """One record of a data set.

    Attributes:
        data_set: That holds it.
        index: Its number.
    """

    data_set: DataSet
    index: int


@dataclass(frozen=True, eq=False)
class Region:
    """A right answer.

    Attributes:
        masks: Things that are meant; none where nothing is to be shown.
        ignored: Pixels that a score leaves out, united; none if empty.
    """

    masks: tuple[MaskSource, ...]
    ignored: tuple[MaskSource, ...] = ()


@dataclass(frozen=True, eq=False)
class Asked:
    """What one question about a record asks for.

    Attributes:
        said: The words of the data set.
        targets: That the words stand for; the right answer is their union.
        subsets: See `eval.questions.Question`.
        cohort: Likewise.
        lowered: Whether a name is asked for in lower case.
    """

    said: Expression
    targets: Sequence[Target]
    subsets: tuple[str, ...] = ()
    cohort: str | None = None
    lowered: bool = True


@dataclass(frozen=True, eq=False)
class RecordPicture:
    """The picture of a record with the questions about it; see `eval.questions.Picture`.

    Attributes:
        key: Of the record and its data set.
        image: The picture, a file or the bytes of one.
        regions: Right answers.
        questions: What is asked.
    """

    key: str
    image: Path | bytes
    regions: tuple[Region, ...]
    questions: tuple[Question, ...]

    @property
    def file(self) -> Path | None:
        """Where the picture lies; None if it is no file."""
        return self.image if isinstance(self.image, Path) else None

    def open(self) -> Image.Image:
        """Read the picture.

        Raises:
            ImageError: If it is missing or damaged.
        """
        return open_image(self.image)

    def truth_of(self, question: Question) -> Truth:
        """Return the right answer.

        Raises:
            DataError: If a mask is damaged or not of the picture's size.
        """
        assert question.target is not None, "every question of a record has its region"
        region = self.regions[question.target]
        size = picture_size(self.image)
        ignored = self._read(region.ignored, size)
        return Truth(
            size,
            self._read(region.masks, size),
            Truth(size, ignored).mask if ignored else None,
        )

    def _read(self, sources: Sequence[MaskSource], size: ImageSize) -> tuple[BoolMask, ...]:
        masks = tuple(source.read() for source in sources)
        for mask in masks:
            if mask.shape != size:
                raise DataError(
                    f"{self.key} has a mask of {mask.shape[0]} x {mask.shape[1]} pixels (height x "
                    f"width), but its picture has {size.height} x {size.width}."
                )
        return tuple(mask for mask in masks if mask.any())


def choose_records(data_sets: Sequence[DataSet], most: int) -> list[RecordPlace]:
    """Choose up to `most` records, evenly over the data sets and over each; always the same ones.

    What a small data set does not need of its share goes to the larger ones.
    """
    left = most
    indexes: dict[str, list[int]] = {}
    for position, one in enumerate(sorted(data_sets, key=lambda one: len(one.reader))):
        indexes[one.name] = spread(len(one.reader), left // (len(data_sets) - position))
        left -= len(indexes[one.name])
    return [RecordPlace(one, index) for one in data_sets for index in indexes[one.name]]


def questions_of(record: Record, data_set: str, task: Task, wording: Wording) -> RecordPicture:
    """Turn a record into questions.

    Args:
        record: Of any reader.
        data_set: Name of its data set.
        task: Of its data set.
        wording: How names and sentences are asked for.

    Returns:
        The picture; without questions if nothing in the record has a right answer.

    Raises:
        DataError: If a dialogue has not as many masks as `[SEG]`.
    """
    asked = []
    for said, targets in _same_words(record.targets, task).values():
        absent = all(target.is_absent for target in targets)
        asked.append(Asked(said, targets, (said.wording, ABSENT) if absent else (said.wording,)))
    return make_questions(record, data_set, asked, wording)


def make_questions(
    record: Record, group: str, asked: Iterable[Asked], wording: Wording
) -> RecordPicture:
    """Turn what is asked about a record into questions; its dialogues follow.

    Args:
        record: Of any reader.
        group: Of the questions, and the beginning of their keys.
        asked: A question each, in this order.
        wording: How names and sentences are asked for.

    Raises:
        DataError: If a dialogue has not as many masks as `[SEG]`.
    """
    made = _Questions(f"{group}/{record.key}", group)
    for one in asked:
        said = one.said
        form = wording.asked_sentence if said.wording == "sentence" else wording.asked_name
        words = words_of(said) if one.lowered else {"text": said.text, "thing": said.text}
        region = Region(
            tuple(thing for target in one.targets for thing in _things(target)),
            tuple(target.ignore for target in one.targets if target.ignore is not None),
        )
        made.add(form.format(**words), region, one.subsets, said=said.text, cohort=one.cohort)
    for dialogue in record.dialogues:
        for turns, region in _pointing_turns(dialogue, record.key):
            made.add(turns.messages[-1].text, region, (DIALOGUE,), turns)
    return RecordPicture(made.key, record.image, tuple(made.regions), tuple(made.questions))


def _things(target: Target) -> tuple[MaskSource, ...]:
    """Return the things of a target one by one, where its data set knows them apart."""
    if target.is_absent:
        return ()
    mask = target.mask
    if isinstance(mask, AnnotationMask):
        return tuple(replace(mask, annotations=(one,)) for one in mask.annotations)
    return (mask,)


@dataclass
class _Questions:
    """Questions of a record as they are made.

    Attributes:
        key: Of the record and its data set.
        group: Of the questions.
        regions: Right answers.
        questions: One for each of them.
    """

    key: str
    group: str
    regions: list[Region] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def add(
        self,
        text: str,
        region: Region,
        subsets: tuple[str, ...],
        turns: Conversation | None = None,
        said: str | None = None,
        cohort: str | None = None,
    ) -> None:
        number = len(self.regions)
        self.regions.append(region)
        self.questions.append(
            Question(
                f"{self.key}/{number}",
                self.group,
                number,
                text,
                subsets=subsets,
                turns=turns,
                said=said,
                cohort=cohort,
            )
        )


def _same_words(
    targets: Sequence[Target], task: Task
) -> dict[tuple[str, str], tuple[Expression, list[Target]]]:
    """Return everything that is asked for and the targets that it stands for."""
    asked: dict[tuple[str, str], tuple[Expression, list[Target]]] = {}
    for target in targets:
        for said in target.expressions[:1] if task == "semantic" else target.expressions:
            same = asked.setdefault((said.text.lower(), said.wording), (said, []))[1]
            if target not in same:
                same.append(target)
    return asked


def _pointing_turns(dialogue: Dialogue, key: str) -> Iterator[tuple[Conversation, Region]]:
    """Yield the turns up to each question whose answer points at something, and that answer."""
    messages, used = dialogue.conversation.messages, 0
    for place, message in enumerate(messages):
        if message.role != "assistant" or not message.text.count(SEG_TOKEN):
            continue
        masks = dialogue.segments[used : used + message.text.count(SEG_TOKEN)]
        used += message.text.count(SEG_TOKEN)
        if used > len(dialogue.segments):
            raise DataError(
                f"{key} has more {SEG_TOKEN} in its answers than its {len(dialogue.segments)} "
                "masks: give one mask for each."
            )
        yield Conversation(messages[:place]), Region(masks)
