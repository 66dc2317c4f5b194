from __future__ import annotations

import pytest

from lisa.captions.articles import with_agreeing_articles
from lisa.data.knowledge import load_knowledge


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("A avocado is behind an sailboat.", "An avocado is behind a sailboat."),
        ("There is a orange sailboat.", "There is an orange sailboat."),
        ("An Egyptian cat and a cat.", "An Egyptian cat and a cat."),
        ("Anna has a plan.", "Anna has a plan."),
        ("a", "a"),
        ("", ""),
    ],
)
def test_articles_suit_the_word_behind_them(said: str, meant: str) -> None:
    assert with_agreeing_articles(said) == meant
    assert with_agreeing_articles(meant) == meant


def test_names_of_the_table_keep_their_own_article() -> None:
    for item in load_knowledge().objects.values():
        if item.article in ("a", "an"):
            for wrong in ("a", "an"):
                assert with_agreeing_articles(f"{wrong} {item.label}") == item.indefinite
