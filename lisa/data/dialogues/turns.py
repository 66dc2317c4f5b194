"""Turns that look: the assistant shows things itself, or asks a tool what there is."""

from __future__ import annotations

from lisa.data.captions import caption_question
from lisa.data.colours import COLOURS
from lisa.data.dialogues import wordings
from lisa.data.dialogues.answers import masks_answer, tags_answer
from lisa.data.dialogues.state import DialogueState
from lisa.data.knowledge import load_knowledge
from lisa.data.questions import Question, absent_names, make_questions, pair_question
from lisa.observations import say_caption, say_masks, say_tags
from lisa.phrases import phrase_before
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN

_SHOWN = {"naming": 4.0, "reasoning": 6.0, "category": 0.7}
_MOST_TAGS = 8
_MISSED = 0.1
"""How often a tag is missing, and how often a wrong one is there, as with a tagger."""


def show(state: DialogueState) -> bool:
    """Ask for one or two things; the assistant points at them itself. False if it cannot be."""
    question = _question(state)
    if question is None:
        return False
    state.ask("show", question.text)
    whats: list[str | None] = []
    place = -1
    for _ in question.targets:
        place = question.answer.index(SEG_TOKEN, place + 1)
        whats.append(phrase_before(question.answer, place))
    state.answer(question.answer)
    names = state.show(question.targets, whats)
    state.focus = tuple(names)
    return True


def _question(state: DialogueState) -> Question | None:
    names, rng = state.scene.names, state.rng
    if len(names) > 1 and rng.random() < 0.25:
        return pair_question(names, rng, state.split)
    asked = make_questions(names, rng, split=state.split, count=1, kinds=_SHOWN)  # type: ignore[arg-type]
    return asked[0] if asked else None


def tag(state: DialogueState) -> bool:
    """Ask what there is."""
    things, others = _tags(state)
    state.ask_tool("tag", state.rng.choice(wordings.TAGS.of(state.split)), "tag", {})
    state.observe(say_tags(things, others))
    state.answer(tags_answer(things, others))
    return True


def presence(state: DialogueState) -> bool:
    """Ask whether something is there, which its tags tell."""
    knowledge, rng = load_knowledge(), state.rng
    things, others = _tags(state)
    here = [i for i, _ in enumerate(state.scene.names) if state.scene.item(i).label in things]
    is_here = bool(here) and rng.random() < 0.5
    if is_here:
        index = rng.choice(here)
        item = state.scene.item(index)
    else:
        absent = absent_names(state.scene.names, knowledge, state.split)
        item = knowledge[rng.choice([n for n in absent if knowledge[n].label not in things])]
    text = rng.choice(wordings.PRESENCE.of(state.split)).format(a=item.indefinite)
    state.ask_tool("presence", text, "tag", {})
    state.observe(say_tags(things, others))
    if is_here:
        state.answer(f"Yes, there {item.verb} {item.indefinite} {SEG_TOKEN}.")
        state.focus = tuple(state.show([index], [item.label]))
    elif item.article in ("", "the"):
        state.answer(f"No, {item.definite} {item.verb} not in the picture {REJECT_TOKEN}.")
    else:
        state.answer(f"No, there {item.verb} no {item.label} in the picture {REJECT_TOKEN}.")
    return True


def _tags(state: DialogueState) -> tuple[list[str], list[str]]:
    """Draw what a tagger would say: mostly right."""
    rng, knowledge = state.rng, load_knowledge()
    labels = [state.scene.item(i).label for i in range(len(state.scene.names))]
    things = [one for one in dict.fromkeys(labels) if rng.random() > _MISSED]
    while rng.random() < _MISSED:
        things.append(knowledge[rng.choice(knowledge.trained_names)].label)
    rng.shuffle(things)
    others = rng.sample(list(COLOURS), rng.randint(0, 4))
    return list(dict.fromkeys(things))[:_MOST_TAGS], others


def caption(state: DialogueState) -> bool:
    """Ask for a sentence."""
    written = caption_question(state.scene.names, state.scene.relations, state.rng, state.split)
    text = state.rng.choice(wordings.CAPTION.of(state.split))
    state.ask_tool("caption", text, "caption", {})
    state.observe(say_caption(written.answer))
    state.answer(written.answer)
    return True


def masks(state: DialogueState) -> bool:
    """Ask for everything at once."""
    state.ask_tool("masks", state.rng.choice(wordings.MASKS.of(state.split)), "masks", {})
    count = len(state.scene.names)
    found = [i for i in state.rng.sample(range(count), count) if state.rng.random() > _MISSED]
    names = [state.add(index, None).name for index in found]
    state.observe(say_masks(names))
    state.answer(masks_answer(names), names)
    return True
