"""Records become questions with right answers, one documented way for each task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.data_sets import DataSet, RecordPicture, choose_records, questions_of
from lisa.data.mask_sources import BoxMask, NoMask
from lisa.data.readers.own_jsonl import JsonLines
from lisa.data.records import Dialogue, Expression, Record, Target
from lisa.data.wordings import WORDINGS
from lisa.errors import DataError
from lisa.types import Conversation, ImageSize
from tests.data_sets import own_jsonl
from tests.unit.odd_files import file_bytes, photo

SIZE = ImageSize(40, 60)
PICTURE = file_bytes(photo(60, 40), "PNG")
LEFT, RIGHT = BoxMask((0, 0, 10, 40), SIZE), BoxMask((50, 0, 60, 40), SIZE)
MIDDLE = BoxMask((20, 0, 30, 40), SIZE)
CUP, MUG = Expression("Cup"), Expression("mug")
THIRST = Expression("What quenches thirst?", "sentence")
NANO, LISA = WORDINGS["nano"], WORDINGS["lisa"]


def asked(*targets: Target, task="referring", dialogues=(), wording=NANO) -> RecordPicture:
    record = Record("7", PICTURE, None, targets, tuple(dialogues))
    return questions_of(record, "cups", task, wording)


def texts(picture: RecordPicture) -> list[str]:
    return [question.text for question in picture.questions]


@pytest.mark.parametrize("task", ["referring", "reasoning"])
def test_every_expression_is_a_question(task: str):
    picture = asked(Target((CUP, MUG, THIRST), LEFT), task=task)
    assert texts(picture) == ["Segment the cup.", "Segment the mug.", "What quenches thirst?"]
    assert [q.subsets for q in picture.questions] == [("name",), ("name",), ("sentence",)]
    assert [q.key for q in picture.questions] == ["cups/7/0", "cups/7/1", "cups/7/2"]
    assert {q.group for q in picture.questions} == {"cups"}


def test_synonyms_of_a_region_are_asked_once():
    assert texts(asked(Target((CUP, MUG), LEFT), task="semantic")) == ["Segment the cup."]


def test_a_model_is_asked_in_its_own_wording():
    assert texts(asked(Target((CUP, THIRST), LEFT), wording=LISA)) == [
        "What is cup in this image? Please output segmentation mask.",
        "What quenches thirst? Please output segmentation mask.",
    ]


def test_the_same_words_mean_all_their_regions():
    picture = asked(
        Target((CUP,), LEFT, ignore=MIDDLE), Target((MUG,), MIDDLE), Target((CUP,), RIGHT)
    )
    assert texts(picture) == ["Segment the cup.", "Segment the mug."]
    first, second = picture.questions
    assert np.array_equal(picture.truth_of(first).mask, LEFT.read() | RIGHT.read())
    assert np.array_equal(picture.truth_of(first).ignore, MIDDLE.read())
    assert np.array_equal(picture.truth_of(second).mask, MIDDLE.read())
    assert picture.truth_of(second).ignore is None


def test_an_absent_thing_is_asked_for_and_nothing_is_right():
    picture = asked(Target((CUP,), NoMask(SIZE)))
    assert texts(picture) == ["Segment the cup."]
    assert picture.questions[0].subsets == ("name", "absent")
    assert not picture.truth_of(picture.questions[0]).mask.any()


def test_turns_that_point_are_asked_after_the_turns_before():
    turns = (
        Conversation()
        .ask("Which do I drink from?", image_index=0)
        .answer("From the cup [SEG].")
        .ask("Is it hot?")
        .answer("Yes.")
        .ask("Where are both cups?")
        .answer("Here [SEG] and there [SEG].")
    )
    picture = asked(dialogues=[Dialogue(turns, (LEFT, LEFT, RIGHT))], task="dialogue")
    assert texts(picture) == ["Which do I drink from?", "Where are both cups?"]
    first, second = picture.questions
    assert first.conversation.messages == turns.messages[:1]
    assert second.conversation.messages == turns.messages[:5]
    assert np.array_equal(picture.truth_of(first).mask, LEFT.read())
    assert np.array_equal(picture.truth_of(second).mask, LEFT.read() | RIGHT.read())
    assert second.subsets == ("dialogue",)


def test_a_dialogue_without_masks_is_not_asked():
    words = Conversation().ask("Is it hot?", image_index=0).answer("Yes.")
    assert asked(dialogues=[Dialogue(words)], task="dialogue").questions == ()


def test_damage_is_told():
    two = Conversation().ask("Where?", image_index=0).answer("[SEG] [SEG]")
    with pytest.raises(DataError, match=r"7 has more \[SEG\] in its answers than its 1 masks"):
        asked(dialogues=[Dialogue(two, (LEFT,))])
    picture = asked(Target((CUP,), BoxMask((0, 0, 3, 3), ImageSize(9, 9))))
    with pytest.raises(DataError, match="cups/7 has a mask of 9 x 9 pixels"):
        picture.truth_of(picture.questions[0])


def test_the_fixture_of_a_user_s_own_data(tmp_path: Path):
    own_jsonl.write(tmp_path)
    reader = JsonLines(tmp_path, "train")
    pictures = [questions_of(reader[i], "own", reader.task, NANO) for i in range(3)]
    assert [len(picture.questions) for picture in pictures] == [2, 4, 1]
    for picture in pictures:
        for question in picture.questions:
            target = picture.truth_of(question).mask
            assert target.shape == picture.open().size[::-1]
            assert target.any() != ("absent" in question.subsets)


class Numbers:
    """A reader of so many records."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length


@given(st.lists(st.integers(0, 30), max_size=5), st.integers(1, 80))
def test_records_are_spread_over_all_data_sets(lengths: list[int], most: int):
    data_sets = [DataSet(str(n), Numbers(length)) for n, length in enumerate(lengths)]
    chosen = choose_records(data_sets, most)
    assert len(chosen) == min(most, sum(lengths))
    assert len(set(chosen)) == len(chosen)
    counts = [sum(one.data_set is data_set for one in chosen) for data_set in data_sets]
    for count, length in zip(counts, lengths, strict=True):
        # Nobody gets less than its share while another gets more than that.
        assert count == length or count >= max(counts) - 1
    assert all(one.index < len(one.data_set.reader) for one in chosen)
