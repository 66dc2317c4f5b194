from __future__ import annotations

import pytest

from lisa.phrases import phrase_before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is the alarm clock [SEG].", ["alarm clock"]),
        ("[SEG].", [None]),
        ("Sure, [SEG].", [None]),
        ("It is [SEG]. The blue cup can hold it.", [None]),
        ("Sure, the segmentation result is [SEG]", [None]),
        (
            "Sure, the bicycle is [SEG] and the front wheel is [SEG] .",
            ["bicycle", "front wheel"],
        ),
        ("You would use the telephone [SEG], or the radio [SEG].", ["telephone", "radio"]),
        ("The cup on the table [SEG] is hot.", ["cup on the table"]),
        ("I see a dog [SEG] and a cat [SEG].", ["dog", "cat"]),
        ("There is no giraffe [SEG].", ["giraffe"]),
        ("No, there is no alarm clock in the picture [SEG].", ["alarm clock"]),
        ("Nothing like it in the image [SEG].", ["Nothing like it"]),
        ("It is in the Picture [SEG].", [None]),
        ("The cup is on the table [SEG]", ["table"]),
        ("Look:\n[SEG]", [None]),
    ],
)
def test_phrases(text: str, expected: list[str | None]) -> None:
    places = [i for i in range(len(text)) if text.startswith("[SEG]", i)]
    assert [phrase_before(text, place) for place in places] == expected
