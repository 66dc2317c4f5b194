"""Ref-ZOM: expressions that fit zero, one or many things of a picture."""

from __future__ import annotations

from pathlib import Path

from lisa.data.mask_sources import MaskSource, NoMask
from lisa.data.readers.coco_index import CocoImage
from lisa.data.readers.contract import register_reader, require_files
from lisa.data.readers.refs import Ref, RefsReader, ids_of
from lisa.errors import DataError

_COCO = Path("images") / "mscoco" / "images"
_MERGED = "trainval2014"
# As released, as its own code wants it renamed, and as descendants of LISA keep it.
_REFS = ("ref-zom/refs(final).p", "ref-zom/Ref-ZOM(final).p", "refzom/Ref_ZOM.p")


@register_reader("ref_zom")
class RefZom(RefsReader):
    """Reads `refs(final).p` (released as `Ref-ZOM(final).p`) and `instances.json`.

    `root` is the folder `refer_seg`. Pictures come from both halves of COCO 2014, either in one
    folder, as the set's own code has them, or where COCO puts them:

        ref-zom/refs(final).p    ref-zom/instances.json    (or refzom/Ref_ZOM.p beside it)
        images/mscoco/images/trainval2014/COCO_val2014_000000000042.jpg
        images/mscoco/images/{train2014,val2014}/COCO_val2014_000000000042.jpg

    One ref of the pickle, which is a list of them:

        {"ref_id": 7, "ann_id": [1719310, 1719311], "image_id": 42, "split": "test",
         "source": "many", "file_name": "COCO_val2014_000000000042.jpg",
         "sentences": [{"sent_id": 9, "sent": "two dogs on a sofa", "raw": "two dogs on a sofa",
                        "tokens": ["two", "dogs", "on", "a", "sofa"]}]}

    and its record, with the other refs of the picture as further targets:

        Record(key="test/42", image=.../COCO_val2014_000000000042.jpg, size=(480, 640),
               targets=(Target((Expression("two dogs on a sofa"),), mask), ...))

    The mask is the union of the annotations; `ann_id` may be a single number. Where `source` is
    "zero" the mask is `NoMask`, whatever `ann_id` says: the expression comes from another picture.

    Known from the set's code, not from its files, which were not at hand: what `ann_id` is for
    "zero", and the values of `source` other than that (a ref without one has a target).
    """

    splits = ("train", "test")
    default_split = "train"

    def __init__(self, root: Path, split: str | None = None) -> None:
        """Open one split; see `Reader`."""
        chosen = self.chosen_split(split)
        self._pictures_root = root / _COCO
        refs = next((root / name for name in _REFS if (root / name).exists()), root / _REFS[0])
        self._read(refs, refs.parent / "instances.json", chosen, chosen)
        self._merged = (self._pictures_root / _MERGED).exists()
        folders = {self._folder_of(image) for image, _ in self._pictures}
        require_files(type(self).__name__, *sorted(folders))

    def _folder_of(self, image: CocoImage) -> Path:
        if self._merged:
            return self._pictures_root / _MERGED
        is_val = image.file_name.startswith("COCO_val2014_")
        return self._pictures_root / ("val2014" if is_val else "train2014")

    def _mask_of(self, ref: Ref, image: CocoImage) -> MaskSource:
        if ref.fields.get("source") == "zero":
            return NoMask(image.size)
        ids = ids_of(ref)
        if not ids:
            raise DataError(
                f"{ref.name}: 'ann_id' is empty, but 'source' is "
                f"{ref.fields.get('source')!r:.40}: only 'zero' has no annotation."
            )
        return self._index.mask_of(*self._annotations_of(ref, ids))
