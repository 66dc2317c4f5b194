"""A user's own data as a `datasets` data set with two splits, saved to disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.data_sets.own_jsonl import lines, write_pictures


def rows(pictures: Path) -> dict[str, list[dict[str, Any]]]:
    """The JSONL fixture's records as rows: pictures as bytes, one type a column, no mask files."""
    splits = {}
    for split, records in lines().items():
        splits[split] = [
            {
                "image": {"bytes": (pictures / Path(r["image"]).name).read_bytes(), "path": None},
                "messages": _as_text(r.get("messages")),
                "segments": r.get("segments"),
                "targets": [
                    {**t, "text": [t["text"]] if isinstance(t["text"], str) else t["text"]}
                    for t in r.get("targets", [])
                    if "mask" not in (t["segment"] or {})
                ],
            }
            for r in records
        ]
    return splits


def _as_text(messages: list[dict[str, Any]] | None) -> list[dict[str, str]] | None:
    if messages is None:
        return None
    texts = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            content = "".join(part.get("text", "") for part in content)
        texts.append({"role": message["role"], "content": content})
    return texts


def write(root: Path) -> None:
    """Write what `DatasetDict.save_to_disk` writes."""
    import datasets

    write_pictures(root / "drawn")
    splits = {
        split: datasets.Dataset.from_list(listed).cast_column("image", datasets.Image())
        for split, listed in rows(root / "drawn" / "pictures").items()
    }
    for picture in (root / "drawn" / "pictures").iterdir():
        picture.unlink()
    (root / "drawn" / "pictures").rmdir()
    (root / "drawn").rmdir()
    datasets.DatasetDict(splits).save_to_disk(root)
