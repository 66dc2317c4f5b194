"""What is known about the objects of the generated pictures: names, cut-outs, facts and splits.

The table is data (`objects.yaml`); a fact is a verb phrase that continues "the thing that ...".
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from lisa.data.knowledge.objects import Category, Fact, FactKind, Knowledge, KnownObject
from lisa.data.knowledge.read_table import names_itself, read_knowledge

__all__ = [
    "TABLE",
    "Category",
    "Fact",
    "FactKind",
    "KnownObject",
    "Knowledge",
    "load_knowledge",
    "names_itself",
    "read_knowledge",
    "satisfies",
]

TABLE: Final = Path(__file__).with_name("objects.yaml")
"""The table that comes with the package."""


@lru_cache(maxsize=1)
def load_knowledge() -> Knowledge:
    """Read the table that comes with the package, once.

    Raises:
        DataError: as `read_knowledge`.
    """
    return read_knowledge(TABLE)


def satisfies(object_name: str, fact: Fact) -> bool:
    """Whether an object of the packaged table could answer a question about the fact.

    Raises:
        DataError: if the table has no such object.
    """
    return load_knowledge().satisfies(object_name, fact)
