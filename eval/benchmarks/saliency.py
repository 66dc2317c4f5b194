"""CoSOD: what the pictures of a group have in common, as grey maps against masks.

Truth and predictions are folders with the same names in them:

    CoCA/image/<group>/<name>.jpg     CoCA/binary/<group>/<name>.png     (or gt, GT, GroundTruth)
    predictions/<group>/<name>.png    grey, white where the thing surely is

A mask's pixels count as shown above 128, as pysodmetrics has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eval.benchmarks.contract import Benchmark, register_family
from eval.benchmarks.lazy_pictures import LazyPictures
from eval.benchmarks.places import find_root
from eval.benchmarks.unasked import UnaskedPicture
from eval.metrics import Figure, judge_saliency, saliency_figures
from lisa.data.mask_sources import read_label_map
from lisa.data.wordings import Wording
from lisa.errors import ConfigError, DataError

NAME = "cosod"
FOLDERS = {"coca": "CoCA", "cosod3k": "CoSOD3k", "cosal2015": "CoSal2015"}
_TRUTHS = ("binary", "gt", "GT", "GroundTruth")
_IMAGES = ("image", "img", "Image", "images")
_SHOWN_ABOVE = 128
_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG")


@dataclass(frozen=True, eq=False)
class SalientPicture(UnaskedPicture):
    """A picture and what it has in common with its group.

    Attributes:
        mask_file: The mask.
    """

    mask_file: Path

    def mask(self) -> NDArray[np.bool_]:
        """Read the mask, `bool (H, W)`.

        Raises:
            DataError: If it is missing or damaged.
        """
        shown: NDArray[np.bool_] = read_grey(self.mask_file) > _SHOWN_ABOVE
        return shown


class SalientPictures(LazyPictures[SalientPicture]):
    """The pictures of a data set, group by group."""

    def __init__(self, root: Path, truths: Path) -> None:
        """List the masks.

        Raises:
            DataError: If there are none.
        """
        masks = sorted(truths.glob("*/*.png"))
        if not masks:
            raise DataError(f"{str(truths)!r} has no masks: they must be <group>/<name>.png.")
        images = next((root / one for one in _IMAGES if (root / one).is_dir()), root / _IMAGES[0])

        def read(index: int) -> SalientPicture:
            name = masks[index].relative_to(truths).as_posix().removesuffix(".png")
            files = [images / f"{name}{suffix}" for suffix in _SUFFIXES]
            file = next((one for one in files if one.is_file()), files[0])
            return SalientPicture(name, file, masks[index])

        super().__init__(len(masks), read, lambda index: str(masks[index]))


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Read a grey picture; of one with three equal channels, the first.

    Raises:
        DataError: If it is missing, damaged, coloured or of more than 8 bits.
    """
    values = read_label_map(path)
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * 255
    if values.ndim != 2 or values.dtype != np.uint8:
        raise DataError(f"{str(path)!r} must be a grey picture of 8 bits a pixel.")
    return values


def score_saliency(benchmark: Benchmark, path: Path, *, show: bool = True) -> tuple[Figure, ...]:
    """Score predicted maps.

    Args:
        benchmark: `cosod:*`.
        path: Folder of the maps, or one that holds it under the data set's name.
        show: Whether a progress bar is drawn.

    Raises:
        ConfigError: If the benchmark has no maps.
        DataError: If a map is missing, damaged or of another size.
    """
    pictures = benchmark.pictures
    if not isinstance(pictures, SalientPictures):
        raise ConfigError(f"{benchmark.name} has no maps to score: choose one of {NAME}:*.")
    inside = path / FOLDERS[benchmark.name.partition(":")[2]]
    folder = inside if inside.is_dir() else path
    keys = [picture.key for picture in pictures]
    missing = [key for key in keys if not (folder / f"{key}.png").is_file()]
    if missing:
        raise DataError(
            f"{str(folder)!r} has no map {missing[0]}.png; {len(missing)} of {len(keys)} are "
            "missing: every picture needs one, as <group>/<name>.png."
        )
    records = []
    for picture in tqdm(pictures, benchmark.name, disable=not show, leave=None):
        shown = read_grey(folder / f"{picture.key}.png")
        records.append(judge_saliency(picture.key, shown, picture.mask()))
    return saliency_figures(records)


def _open(part: str, data: Path, wording: Wording) -> Benchmark:
    name = f"{NAME}:{part}"
    called = FOLDERS[part]
    root = find_root(name, data, (".", called, part), _TRUTHS)
    truths = next(root / one for one in _TRUTHS if (root / one).is_dir())
    pictures = SalientPictures(root, truths)
    return Benchmark(name, "saliency", (), pictures, 0, f"{called}, groups of pictures")


register_family(
    NAME,
    parts=tuple(FOLDERS),
    about="what a group of pictures has in common; scores folders of grey maps",
    layout="binary/<group>/*.png",
    open=_open,
)
