"""Conversations of data sets, turned into ours: one picture, shown once, by the user."""

from __future__ import annotations

from collections.abc import Sequence

from lisa.data.faults import DamagedRecord
from lisa.data.record_problems import record_problems
from lisa.data.records import Record
from lisa.tokens import IMAGE_TOKEN
from lisa.types import Conversation, Role


def conversation_about_picture(turns: Sequence[tuple[Role, str]]) -> Conversation:
    """Build the conversation of a picture from turns with LLaVA's placeholder in the text.

    The placeholder, wherever in the question it stands, is taken out, and the picture is shown
    before the words of that question; where no question has it, before the first. A first turn of
    the assistant, which answers nothing, is left out. LLaVA does the same three things.

    Args:
        turns: Who speaks and what is said; blanks around it are cut off.
    """
    turns = turns[1:] if turns and turns[0][0] == "assistant" else turns
    questions = [index for index, (role, _) in enumerate(turns) if role == "user"]
    marked = [index for index in questions if IMAGE_TOKEN in turns[index][1]]
    shown = (marked or questions)[:1]
    conversation = Conversation()
    for index, (role, text) in enumerate(turns):
        if role == "user":
            words = text.replace(IMAGE_TOKEN, "").strip()
            conversation = conversation.ask(words, image_index=0 if index in shown else None)
        else:
            conversation = conversation.answer(text.strip())
    return conversation


def refuse_problems(record: Record, place: str) -> Record:
    """Return a record in which nothing is wrong before its picture is opened.

    Args:
        record: As read.
        place: The file and the name of the record, for the message.

    Raises:
        DamagedRecord: If turns, control tokens or segments do not fit together.
    """
    problems = list(record_problems(record))
    if problems:
        raise DamagedRecord(place, problems, record)
    return record
