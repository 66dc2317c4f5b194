"""ReasonSeg's copy on the hub: Parquet files below `data`, made by `datasets`."""

from __future__ import annotations

from pathlib import Path

from datasets import Dataset, Features, Image, Sequence, Value

from tests.data_sets import reason_seg

FEATURES = Features(
    {
        "image": Image(),
        "mask": Sequence(Sequence(Value("bool"))),
        "text": Value("string"),
        "image_id": Value("string"),
        "ann_id": Value("string"),
        "img_height": Value("int64"),
        "img_width": Value("int64"),
    }
)


def table(pictures: Path) -> Dataset:
    """The rows of the pictures that `reason_seg.write` made in a folder."""
    rows = []
    for key, planted in reason_seg.PLANTED.items():
        name = Path(key).name
        image = {"bytes": (pictures / f"{key}.jpg").read_bytes(), "path": f"{name}.jpg"}
        # The copies took all that is drawn for the target.
        rows.append(
            {
                "image": image,
                "mask": (planted.labels != 0).tolist(),
                "text": planted.texts[0],
                "image_id": name,
                "ann_id": name,
                "img_height": planted.size[0],
                "img_width": planted.size[1],
            }
        )
    return Dataset.from_list(rows, features=FEATURES)


def write(root: Path) -> None:
    """Write the folder as it is downloaded from the hub."""
    pictures = root / "pictures_before_packing"
    reason_seg.write(pictures)
    rows = table(pictures)
    (root / "data").mkdir(parents=True, exist_ok=True)
    half = len(rows) // 2
    for number, part in enumerate((range(half), range(half, len(rows)))):
        rows.select(part).to_parquet(root / "data" / f"test-0000{number}-of-00002.parquet")
    for path in sorted(pictures.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    pictures.rmdir()
