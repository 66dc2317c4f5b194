"""Tags of a picture, scored from a file of predictions: the lists that RAM and RAM++ report.

Each data set is a list of tags and a list of pictures with theirs, as recognize-anything ships
them; the pictures are not needed for a score and lie in `imgs/`:

    <set>_ram_taglist.txt         one tag a line
    <set>_ram_annots.txt          0a1b2c/000026e7ee790996,tree,house         (imgs/<name>.jpg)
    hico_600_annots.txt           HICO_test2015_00000002.jpg,131 139 143     (imgs/<name>)
    imagenet_multi_1000_annots.txt

HICO and ImageNet-Multi name tags by their line in the list, from 0; pictures may have none. Of
OpenImages' common tags there is a second pair of lists, `_tag2text_tagidlist.txt` and
`_tag2text_idannots.txt`, in the numbers of Tag2Text's vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.benchmarks.contract import Benchmark, register_family
from eval.benchmarks.lazy_pictures import LazyPictures
from eval.benchmarks.places import find_root
from eval.benchmarks.tag_files import read_predicted_tags
from eval.benchmarks.unasked import UnaskedPicture
from eval.metrics import Figure, TagRecord, tagging_figures
from lisa.data.readers.contract import require_files
from lisa.data.readers.keys import number_repeats
from lisa.data.readers.paths import safe_join
from lisa.data.wordings import Wording
from lisa.errors import ConfigError, DataError

NAME = "tagging"
THRESHOLD = 0.5
"""From which probability on a tag is said to be there, where the user gives none; RAM's own
decision has a threshold for every tag."""


@dataclass(frozen=True)
class TagLists:
    """Where the lists of a data set lie and how they are written.

    Attributes:
        folder: As released.
        tags: File of tags.
        pictures: File of pictures.
        by_line: Whether pictures name tags by their line, with blanks between them, instead of by
            their words, with commas.
        suffix: Of the picture files, where names lack it.
    """

    folder: str
    tags: str
    pictures: str
    by_line: bool = False
    suffix: str = ""


_COMMON, _RARE = "openimages_common_214", "openimages_rare_200"
LISTS = {
    _COMMON: TagLists(
        _COMMON, f"{_COMMON}_ram_taglist.txt", f"{_COMMON}_ram_annots.txt", suffix=".jpg"
    ),
    _RARE: TagLists(_RARE, f"{_RARE}_ram_taglist.txt", f"{_RARE}_ram_annots.txt", suffix=".jpg"),
    "hico": TagLists("hico", "hico_600_taglist.txt", "hico_600_annots.txt", by_line=True),
    "imagenet_multi": TagLists(
        "imagenet_multi",
        "imagenet_multi_1000_taglist.txt",
        "imagenet_multi_1000_annots.txt",
        by_line=True,
    ),
    f"{_COMMON}/tag2text": TagLists(
        _COMMON,
        f"{_COMMON}_tag2text_tagidlist.txt",
        f"{_COMMON}_tag2text_idannots.txt",
        suffix=".jpg",
    ),
}


@dataclass(frozen=True, eq=False)
class TaggedPicture(UnaskedPicture):
    """A picture with its right tags.

    Attributes:
        name: As the lists have it; `key` differs from it where a list has it twice.
        shown: Places of its tags in the list.
    """

    name: str
    shown: tuple[int, ...]


class TaggedPictures(LazyPictures[TaggedPicture]):
    """The pictures of a data set.

    Attributes:
        tags: What may be said, in order.
        names: Of the pictures, in order.
    """

    def __init__(self, folder: Path, lists: TagLists) -> None:
        """Read the lists.

        Raises:
            DataError: If one is missing or damaged.
        """
        path = folder / lists.pictures
        require_files("The data set of tags", folder / lists.tags, path)
        self.tags = tuple(_lines(folder / lists.tags))
        places: dict[str, list[int]] = {}
        for place, tag in enumerate(self.tags):
            places.setdefault(tag, []).append(place)
        rows = [line.partition(",") for line in _lines(path)]
        self.names = [name.strip() for name, _, _ in rows]
        keys = number_repeats(self.names)
        shown = []
        for number, (_, _, written) in enumerate(rows, 1):
            try:
                if lists.by_line:
                    shown.append(_by_line(written, len(self.tags)))
                else:
                    shown.append(_by_words(written, places))
            except DataError as error:
                raise DataError(f"{path}:{number}: {error}") from error

        def read(index: int) -> TaggedPicture:
            name = self.names[index]
            file = safe_join(folder / "imgs", name + lists.suffix)
            return TaggedPicture(keys[index], file, name, shown[index])

        super().__init__(len(rows), read, lambda index: f"{path}:{index + 1}")


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{str(path)!r} cannot be read as text in UTF-8: {error}.") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{str(path)!r} is empty: get it again.")
    return lines


def _by_line(written: str, count: int) -> tuple[int, ...]:
    numbers = written.split()
    for number in numbers:
        if not number.isdecimal() or int(number) >= count:
            raise DataError(f"{number!r:.40} is no line of the list of {count} tags, from 0.")
    return tuple(dict.fromkeys(map(int, numbers)))


def _by_words(written: str, places: dict[str, list[int]]) -> tuple[int, ...]:
    shown: list[int] = []
    for tag in filter(None, (one.strip() for one in written.split(","))):
        if tag not in places:
            raise DataError(f"{tag!r:.60} is not in the list of tags.")
        shown += places[tag]
    return tuple(dict.fromkeys(shown))


def score_tags(
    benchmark: Benchmark, path: Path, threshold: float | Path = THRESHOLD
) -> tuple[Figure, ...]:
    """Score predicted tags.

    Args:
        benchmark: `tagging:*`.
        path: Predictions; see `eval.benchmarks.tag_files`.
        threshold: A probability that reaches it predicts the tag; or a file with a threshold for
            each tag, one a line, as `ram_tag_list_threshold.txt`. Where only the decisions are
            known it is not needed, and there is no mAP.

    Raises:
        ConfigError: If the benchmark has no tags.
        DataError: If the predictions are damaged, or not for these pictures.
    """
    pictures = benchmark.pictures
    if not isinstance(pictures, TaggedPictures):
        raise ConfigError(f"{benchmark.name} has no tags to score: choose one of {NAME}:*.")
    predicted = read_predicted_tags(path, pictures.names, pictures.tags)
    records = []
    for picture, probabilities in zip(pictures, predicted.probabilities, strict=True):
        shown = np.zeros(len(pictures.tags), bool)
        shown[list(picture.shown)] = True
        records.append(TagRecord(picture.key, probabilities, shown))
    thresholds = THRESHOLD if predicted.decided else _thresholds(threshold, len(pictures.tags))
    figures = tagging_figures(records, thresholds, pictures.tags)
    if predicted.decided:
        return tuple(one for one in figures if not one.name.startswith("mAP"))
    return figures


def _thresholds(threshold: float | Path, count: int) -> float | NDArray[np.float64]:
    if not isinstance(threshold, Path):
        if not 0 <= threshold <= 1:
            raise ConfigError(f"A threshold must be from 0 to 1, not {threshold}.")
        return threshold
    lines: Sequence[str] = _lines(threshold)
    try:
        values = np.array([float(line) for line in lines])
    except ValueError as error:
        raise DataError(f"{str(threshold)!r} must have a number on each line: {error}.") from error
    if len(values) != count:
        raise DataError(f"{str(threshold)!r} has {len(values)} thresholds for {count} tags.")
    return values


def _open(part: str, data: Path, wording: Wording) -> Benchmark:
    name = f"{NAME}:{part}"
    lists = LISTS[part]
    places = (".", lists.folder, f"datasets/{lists.folder}")
    root = find_root(name, data, places, [lists.tags])
    source = "lists of recognize-anything (Zhang et al. 2023)"
    return Benchmark(name, "tags", (), TaggedPictures(root, lists), 0, source)


register_family(
    NAME,
    parts=tuple(LISTS),
    usual=tuple(part for part in LISTS if "/" not in part),
    about="tags of a picture; scores files of predictions",
    layout="the lists, such as hico_600_taglist.txt and hico_600_annots.txt",
    open=_open,
)
