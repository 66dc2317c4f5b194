from __future__ import annotations

import random
from collections import Counter

import pytest

from lisa.data.mask_sources import BoxMask, NoMask
from lisa.data.records import Dialogue, Expression, Record, Target
from lisa.data.wordings import WORDINGS
from lisa.errors import ConfigError, DataError
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN
from lisa.types import Conversation, ImageSize
from training.samples import Sample, SampleSettings, draw_sample

SIZE = ImageSize(8, 8)
BOX = BoxMask((0, 0, 4, 4), SIZE)


def target(*texts: str, sentence: bool = False, **fields: object) -> Target:
    wording = "sentence" if sentence else "name"
    said = tuple(Expression(text, wording) for text in texts)
    return Target(said, fields.pop("mask", BOX), **fields)


def draws(record: Record, task: str = "semantic", count: int = 300, **settings: object):
    made = SampleSettings(**settings)
    return [draw_sample(record, task, made, random.Random(i)) for i in range(count)]


def turns(sample: Sample) -> list[tuple[str, str]]:
    return [
        (dialogue.conversation.messages[0].text, dialogue.conversation.messages[1].text)
        for dialogue in sample.dialogues
    ]


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("task", ["semantic", "referring", "reasoning"])
@pytest.mark.parametrize("rejects", [False, True])
def test_every_seg_has_its_mask(wording: str, task: str, rejects: bool) -> None:
    record = Record(
        "r",
        b"",
        SIZE,
        (
            target("Dog", "hound"),
            target("What barks?", sentence=True, explanation="Dogs bark."),
            target("unicorn", mask=NoMask(SIZE)),
        ),
    )
    for sample in draws(record, task, wording=wording, rejects=rejects):
        for dialogue in sample.dialogues:
            question, answer = (message.text for message in dialogue.conversation.messages)
            assert len(dialogue.segments) == answer.count(SEG_TOKEN)
            assert SEG_TOKEN not in question
            assert "{" not in question + answer
            shown = dialogue.conversation.messages[0].parts[0]
            assert shown.image_index == 0


def test_the_generator_decides_everything() -> None:
    record = Record("r", b"", SIZE, tuple(target(f"thing {i}") for i in range(20)))
    assert [turns(s) for s in draws(record)] == [turns(s) for s in draws(record)]
    assert len({str(turns(s)) for s in draws(record)}) > 250


def test_synonyms_are_one_region_and_expressions_are_many() -> None:
    """A part has two names of which one is drawn; each sentence of a region is asked on its own."""
    record = Record("r", b"", SIZE, (target("dog leg", "the leg of the dog"),))
    assert {len(sample.dialogues) for sample in draws(record, "semantic")} == {1}
    assert {len(sample.dialogues) for sample in draws(record, "referring")} == {2}


@pytest.mark.parametrize(("present", "most"), [(1, 3), (3, 3), (5, 3), (5, 1)])
def test_so_many_questions(present: int, most: int) -> None:
    record = Record("r", b"", SIZE, tuple(target(f"thing {i}") for i in range(present)))
    for sample in draws(record, questions=most):
        asked = [question for question, _ in turns(sample)]
        assert len(asked) == min(present, most)
        things = {q.split("thing ")[1][0] for q in asked}
        assert len(things) == len(asked)


def test_names_are_written_small_and_sentences_as_they_are() -> None:
    record = Record("r", b"", SIZE, (target("Traffic Light"), target("Who is Ann?", sentence=True)))
    asked = [question for sample in draws(record, "referring") for question, _ in turns(sample)]
    assert any("traffic light" in question for question in asked)
    assert not any("Traffic Light" in question for question in asked)
    assert any(question.startswith("Who is Ann? ") for question in asked)


def test_explained_records_are_answered_in_three_ways() -> None:
    """LISA: one in ten in words alone; of the others every second one with the explanation."""
    record = Record(
        "r", b"", SIZE, (target("What barks?", sentence=True, explanation="Dogs bark."),)
    )
    kinds: Counter[str] = Counter()
    for sample in draws(record, "reasoning", 4000, explained=0.1):
        ((question, answer),) = turns(sample)
        if answer == "Dogs bark.":
            assert question == "What barks?"
            kinds["words"] += 1
        elif "Dogs bark." in answer:
            assert any(word in question for word in ("explain", "reason", "explanation"))
            kinds["both"] += 1
        else:
            kinds["mask"] += 1
    assert kinds["words"] == pytest.approx(400, abs=80)
    assert kinds["both"] == pytest.approx(1800, abs=150)
    assert kinds["mask"] == pytest.approx(1800, abs=150)


@pytest.mark.parametrize("rejects", [False, True])
def test_a_thing_that_is_not_there(rejects: bool) -> None:
    record = Record("r", b"", SIZE, (target("unicorn", mask=NoMask(SIZE)),))
    for sample in draws(record, rejects=rejects):
        ((_, answer),) = turns(sample)
        assert (REJECT_TOKEN in answer) == rejects
        assert (SEG_TOKEN in answer) != rejects
        assert all(not mask.read().any() for mask in sample.dialogues[0].segments)


def test_a_dialogue_is_taken_as_it_is() -> None:
    talks = [Conversation().ask(f"q{i}", 0).answer(f"a{i} {SEG_TOKEN}") for i in range(3)]
    record = Record("r", b"", SIZE, dialogues=tuple(Dialogue(talk, (BOX,)) for talk in talks))
    taken = [sample.dialogues[0].conversation for sample in draws(record, "dialogue")]
    assert all(one in talks for one in taken)
    assert all(talk in taken for talk in talks)


def test_braces_in_the_data_stay_what_they_are() -> None:
    record = Record("r", b"", SIZE, (target("the {thing} {0}", sentence=True),))
    assert all("{0}" in question for s in draws(record) for question, _ in turns(s))


def test_refused() -> None:
    with pytest.raises(DataError, match="r has nothing to ask for"):
        draws(Record("r", b"", SIZE), count=1)
    with pytest.raises(ConfigError, match="no wording 'pirate': choose one of lisa, nano"):
        draws(Record("r", b"", SIZE, (target("dog"),)), count=1, wording="pirate")
