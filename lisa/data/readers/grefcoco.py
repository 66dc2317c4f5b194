"""gRefCOCO: expressions for none, one or several things of a picture."""

from __future__ import annotations

from pathlib import Path

from lisa.data.mask_sources import MaskSource, NoMask
from lisa.data.readers.coco_index import CocoImage
from lisa.data.readers.contract import register_reader, require_files
from lisa.data.readers.refer import COCO_2014
from lisa.data.readers.refs import Ref, RefsReader, ids_of
from lisa.errors import DataError

_NO_TARGET = -1


@register_reader("grefcoco")
class GRefCoco(RefsReader):
    """Reads `grefs(unc).json`, or `grefs(unc).p` where that is there, and `instances.json`.

    `root` is the folder `refer_seg`, with the pictures where refCOCO has them:

        grefcoco/grefs(unc).json    grefcoco/instances.json
        images/mscoco/images/train2014/COCO_train2014_000000581857.jpg

    One ref, of which the file is a list; the number at the end of `file_name` does not belong to
    the picture's name, which is taken from `instances.json`:

        {"ref_id": 12, "ann_id": [1719310, 1719311], "category_id": [1, 1], "image_id": 581857,
         "split": "val", "file_name": "COCO_train2014_000000581857_16.jpg", "no_target": false,
         "sentences": [{"sent_id": 40, "sent": "both ladies", "raw": "both ladies",
                        "tokens": ["both", "ladies"]}]}

    and its record, with the other refs of the picture as further targets:

        Record(key="unc/val/581857", image=.../COCO_train2014_000000581857.jpg, size=(427, 640),
               targets=(Target((Expression("both ladies"),), mask), ...))

    The mask is the union of the annotations. `"ann_id": [-1]` says that nothing is meant: the mask
    is `NoMask`. Crowd annotations are left out beside others, as the set's own loader does; where
    there are only crowds (the loader fails there) they are the mask.

    Not checked against the released files, which were not at hand: `no_target`, which is not read.
    """

    splits = tuple(f"unc/{name}" for name in ("train", "val", "testA", "testB"))
    default_split = "unc/train"

    def __init__(self, root: Path, split: str | None = None) -> None:
        """Open one split; see `Reader`."""
        chosen = self.chosen_split(split)
        self._root = root
        require_files(type(self).__name__, root / COCO_2014)
        folder = root / "grefcoco"
        pickled, written = folder / "grefs(unc).p", folder / "grefs(unc).json"
        refs = pickled if pickled.exists() else written
        self._read(refs, folder / "instances.json", chosen, chosen.partition("/")[2])

    def _folder_of(self, image: CocoImage) -> Path:
        return self._root / COCO_2014

    def _mask_of(self, ref: Ref, image: CocoImage) -> MaskSource:
        ids = ids_of(ref)
        if ids == [_NO_TARGET]:
            return NoMask(image.size)
        if not ids or _NO_TARGET in ids:
            raise DataError(
                f"{ref.name}: 'ann_id' must be the numbers of annotations, or [-1] alone where "
                f"nothing is meant, not {ids!r:.80}."
            )
        annotations = self._annotations_of(ref, ids)
        things = [annotation for annotation in annotations if not annotation.is_crowd]
        return self._index.mask_of(*(things or annotations))
