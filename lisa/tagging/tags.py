"""Tags, what is known of each, and the lists that released weights need beside them.

The lists are not part of this project. They come from a path that is given, or from the folder in
which the weights lie; a folder of ours has them in `tags.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from lisa.errors import CheckpointError, ConfigError
from lisa.hub import read_json
from lisa.tagging.checkpoint import TaggingFiles
from lisa.tagging.config import Kind

TAGS_FILE = "tags.json"
NameList: TypeAlias = str | Path | Sequence[str]
Thresholds: TypeAlias = float | str | Path | Sequence[float]

_LIST_FILES: dict[Kind, tuple[str, ...]] = {
    "recognize-anything": ("ram_tag_list.txt",),
    "recognize-anything-plus": ("ram_tag_list.txt",),
    "tag2text": ("tag2text_ori_tag_list.txt", "tag_list.txt"),
    "fixed-list": (),
}
_THRESHOLD_FILE = "ram_tag_list_threshold.txt"
_CHINESE_FILE = "ram_tag_list_chinese.txt"

# Tag2Text's list, as its author describes it: which places hold what, which thresholds are its own
# (person, man, woman), and which tags it leaves out of captions (numbers, "quarter", "back").
_TAG2TEXT_SIZE = 3429
_TAG2TEXT_CATEGORIES = ((3012, "object or scene"), (3252, "action"), (3429, "attribute"))
_TAG2TEXT_THRESHOLD = 0.68
_TAG2TEXT_OWN_THRESHOLDS = {2701: 0.7, 2828: 0.7, 1167: 0.7}
_TAG2TEXT_NOT_IN_CAPTIONS = (127, 2961, 3351, 3265, 3338, 3355, 3359)


@dataclass(frozen=True)
class TagInfo:
    """What is known of a tag before any picture is seen.

    Attributes:
        name: Its English name.
        threshold: A picture has the tag if its probability is greater than this.
        category: "object", "kind" (of objects: "animal"), "scene", "object or scene", "action" or
            "attribute"; None if unknown.
        chinese: Its Chinese name; None if unknown.
    """

    name: str
    threshold: float
    category: str | None = None
    chinese: str | None = None


@dataclass(frozen=True)
class Tag:
    """A tag of a picture.

    Attributes:
        name: Its English name.
        probability: How sure the model is, in [0, 1].
        threshold: What the probability exceeds.
        category: As `TagInfo.category`.
        chinese: As `TagInfo.chinese`.
    """

    name: str
    probability: float
    threshold: float
    category: str | None = None
    chinese: str | None = None


def join_names(tags: Sequence[Tag | TagInfo]) -> str:
    """Returns the names in one line, as the original programs print them."""
    return " | ".join(tag.name for tag in tags)


def left_out_of_captions(num_tags: int) -> tuple[int, ...]:
    """Returns which places of a tag list never go into a caption."""
    return _TAG2TEXT_NOT_IN_CAPTIONS if num_tags == _TAG2TEXT_SIZE else ()


def read_tags(
    files: TaggingFiles,
    kind: Kind,
    num_tags: int,
    *,
    tag_list: NameList | None = None,
    thresholds: Thresholds | None = None,
    chinese: NameList | None = None,
) -> tuple[TagInfo, ...]:
    """Finds out what the tags of a model are called, and from where on they count.

    Args:
        files: Where the weights are.
        kind: Which system it is.
        num_tags: How many tags it knows.
        tag_list: The names, or a text file with one a line; None looks beside the weights.
        thresholds: One for all, one for each, or a text file with one a line; None looks beside the
            weights (Tag2Text has published ones).
        chinese: As `tag_list`; may be missing. Looked for beside the weights where the names are.

    Raises:
        CheckpointError: If a list is needed and is nowhere, or cannot be read.
        ConfigError: If a list has another length, or a threshold lies outside [0, 1].
    """
    saved = read_saved_tags(files.folder) if (files.folder / TAGS_FILE).is_file() else ()
    names: Sequence[str] = [tag.name for tag in saved]
    limits: Sequence[float] = [tag.threshold for tag in saved]
    translations: Sequence[str | None] = [tag.chinese for tag in saved]
    categories: Sequence[str | None] = [tag.category for tag in saved]
    if tag_list is not None or not saved:
        # Names of one's own have groups and translations of their own, which nobody told us.
        names = _names(tag_list, files.folder, _LIST_FILES[kind], num_tags)
        categories = [None] * num_tags if saved else _categories(kind, num_tags)
        translations = [None] * num_tags
        if tag_list is None and chinese is None and kind != "tag2text":
            beside = files.folder / _CHINESE_FILE
            chinese = beside if beside.is_file() else None
    _check_length("tag list", len(names), num_tags)
    if thresholds is not None or not saved:
        limits = _limits(thresholds, files.folder, kind, num_tags)
    _check_length("list of thresholds", len(limits), num_tags)
    if chinese is not None:
        translations = read_names(chinese)
    _check_length("list of Chinese names", len(translations), num_tags)
    return tuple(
        TagInfo(*fields) for fields in zip(names, limits, categories, translations, strict=True)
    )


def read_saved_tags(folder: Path) -> tuple[TagInfo, ...]:
    """Reads the tags of a folder of ours.

    Raises:
        CheckpointError: If its list cannot be read.
    """
    path = folder / TAGS_FILE
    try:
        return tuple(TagInfo(**fields) for fields in read_json(path)["tags"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} is no list of tags of this version ({error}): save the model again."
        ) from error


def describe_tags(tags: Sequence[TagInfo]) -> dict[str, list[dict[str, object]]]:
    """Returns what `read_saved_tags` reads."""
    return {"tags": [asdict(tag) for tag in tags]}


def with_threshold(thresholds: Thresholds, count: int) -> list[float]:
    """Returns one threshold per tag.

    Args:
        thresholds: One for all, one for each, or a text file with one a line.
        count: Number of tags.

    Raises:
        CheckpointError: If the file cannot be read.
        ConfigError: If there are more or fewer, or one is no number of [0, 1].
    """
    if isinstance(thresholds, bool) or not isinstance(thresholds, int | float | str | Path):
        values: list[object] = list(thresholds)  # type: ignore[arg-type]
    elif isinstance(thresholds, str | Path):
        values = list(read_lines(Path(thresholds)))
    else:
        values = [thresholds] * count
    _check_length("list of thresholds", len(values), count)
    return [_as_threshold(value) for value in values]


def _as_threshold(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise ConfigError(f"the threshold {value!r} is no number between 0 and 1: correct it.")
    return number


def read_lines(path: Path) -> tuple[str, ...]:
    """Reads a text file with one entry a line; blanks around an entry do not count.

    Raises:
        CheckpointError: If there is no such file, or it is no text.
    """
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as a list ({error}): check it.") from error
    return tuple(line.strip() for line in text.rstrip().split("\n"))


def _names(
    given: NameList | None, folder: Path, usual: tuple[str, ...], count: int
) -> Sequence[str]:
    if given is not None:
        return read_names(given)
    for name in usual:
        if (folder / name).is_file():
            return read_lines(folder / name)
    if not usual:
        raise CheckpointError(
            f"{folder} lacks {TAGS_FILE}, which names the {count} tags: fetch the folder again."
        )
    raise CheckpointError(
        f"The names of the {count} tags are missing: give the file {usual[0]} of the original "
        f"project (its folder ram/data) as tag_list, or put it into {folder}."
    )


def read_names(names: NameList) -> tuple[str, ...]:
    """Returns names that are given, or those of a text file with one a line.

    Raises:
        CheckpointError: If there is no such file, or it is no text.
    """
    return read_lines(Path(names)) if isinstance(names, str | Path) else tuple(names)


def _limits(thresholds: Thresholds | None, folder: Path, kind: Kind, count: int) -> Sequence[float]:
    if thresholds is not None:
        return with_threshold(thresholds, count)
    if kind == "tag2text":
        own = _TAG2TEXT_OWN_THRESHOLDS if count == _TAG2TEXT_SIZE else {}
        return [own.get(place, _TAG2TEXT_THRESHOLD) for place in range(count)]
    if (folder / _THRESHOLD_FILE).is_file():
        return with_threshold(folder / _THRESHOLD_FILE, count)
    raise CheckpointError(
        f"The thresholds of the {count} tags are missing: give the file {_THRESHOLD_FILE} of the "
        f"original project (its folder ram/data) as thresholds, put it into {folder}, or give one "
        "number for all."
    )


def _categories(kind: Kind, count: int) -> list[str | None]:
    if kind != "tag2text" or count != _TAG2TEXT_SIZE:
        return [None] * count
    return [
        next(name for end, name in _TAG2TEXT_CATEGORIES if place < end) for place in range(count)
    ]


def _check_length(what: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise ConfigError(
            f"the {what} has {found} entries and the model knows {wanted} tags: give the list that "
            "belongs to the weights."
        )
