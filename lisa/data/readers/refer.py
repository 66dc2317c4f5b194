"""The four sets of the `refer` toolkit: refCOCO, refCOCO+, refCOCOg and refCLEF."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from lisa.data.mask_sources import MaskSource
from lisa.data.readers.coco_index import CocoImage
from lisa.data.readers.contract import register_reader, require_files
from lisa.data.readers.refs import Ref, RefsReader, ids_of
from lisa.errors import DataError

COCO_2014 = Path("images") / "mscoco" / "images" / "train2014"


class ReferReader(RefsReader):
    """Reads `refs(<who split it>).p` and `instances.json` of one set.

    `root` is the folder `refer_seg`, which holds a folder for each set and the pictures:

        refcoco/refs(unc).p        refcoco/instances.json
        refclef/refs(unc).p        refclef/instances.json
        images/mscoco/images/train2014/COCO_train2014_000000581857.jpg
        images/saiapr_tc-12/00/images/25.jpg

    A split is written as who made it and its name: `unc/testA`. `testA` and `testB` are all refs
    whose split has that letter, `test` all whose split begins so.

    One ref of the pickle, which is a list of them (its `file_name` is not that of the picture):

        {"ref_id": 0, "ann_id": 1719310, "image_id": 581857, "category_id": 1, "split": "train",
         "file_name": "COCO_train2014_000000581857_16.jpg", "sent_ids": [0, 1, 2],
         "sentences": [{"sent_id": 0, "sent": "the lady with the blue shirt",
                        "raw": "THE LADY WITH THE BLUE SHIRT",
                        "tokens": ["the", "lady", "with", "the", "blue", "shirt"]}, ...]}

    and its record, with the other refs of the picture as further targets:

        Record(key="unc/train/581857", image=.../COCO_train2014_000000581857.jpg, size=(427, 640),
               targets=(Target((Expression("the lady with the blue shirt"), ...), mask), ...))

    The mask is the union of the annotation's parts. (The toolkit adds the parts up, so a pixel
    that two of them cover counts as 2 there; that is a mistake, and LISA trained on it.) An
    annotation without parts has no pixels.

    Not checked against the released files, which were not at hand: that refCLEF's file names begin
    with a folder of the archive (LISA's own loader needs it so), and which splits beyond `unc` and
    `umd` each set has.
    """

    folder: ClassVar[str]
    pictures: ClassVar[Path] = COCO_2014

    def __init__(self, root: Path, split: str | None = None) -> None:
        """Open one split; see `Reader`."""
        chosen = self.chosen_split(split)
        made_by, _, name = chosen.partition("/")
        self._root = root
        require_files(type(self).__name__, root / self.pictures)
        folder = root / self.folder
        self._read(folder / f"refs({made_by}).p", folder / "instances.json", chosen, name)

    def _folder_of(self, image: CocoImage) -> Path:
        return self._root / self.pictures

    def _mask_of(self, ref: Ref, image: CocoImage) -> MaskSource:
        ids = ids_of(ref)
        if len(ids) != 1:
            raise DataError(f"{ref.name}: 'ann_id' must be one number, not {ids!r:.80}.")
        return self._index.mask_of(*self._annotations_of(ref, ids))


@register_reader("refcoco")
class RefCoco(ReferReader):
    """RefCOCO: pictures of COCO, short expressions from a game; see `ReferReader`."""

    folder = "refcoco"
    splits = (
        *(f"unc/{name}" for name in ("train", "val", "testA", "testB", "test")),
        *(f"google/{name}" for name in ("train", "val", "test")),
    )
    default_split = "unc/train"


@register_reader("refcoco+")
class RefCocoPlus(ReferReader):
    """RefCOCO+: as refCOCO, without words of place; see `ReferReader`."""

    folder = "refcoco+"
    splits = tuple(f"unc/{name}" for name in ("train", "val", "testA", "testB", "test"))
    default_split = "unc/train"


@register_reader("refcocog")
class RefCocoG(ReferReader):
    """RefCOCOg: pictures of COCO, long expressions; see `ReferReader`."""

    folder = "refcocog"
    splits = (
        *(f"umd/{name}" for name in ("train", "val", "test")),
        *(f"google/{name}" for name in ("train", "val")),
    )
    default_split = "umd/train"


@register_reader("refclef")
class RefClef(ReferReader):
    """RefCLEF: pictures of SAIAPR TC-12, masks as lists of run lengths; see `ReferReader`."""

    folder = "refclef"
    pictures = Path("images") / "saiapr_tc-12"
    splits = (
        *(f"unc/{name}" for name in ("train", "val", "testA", "testB", "testC", "test")),
        *(f"berkeley/{name}" for name in ("train", "val", "test")),
    )
    default_split = "unc/train"
