"""Decides for models that were trained without tools: what they find likeliest is done.

Each thing that could be done is a short sentence. The model is asked what to do about the question,
and is not let speak: the sentence whose words it finds likeliest on average is taken. Some
sentences are likely whatever was asked, so how likely they are without a question is taken off
(contextual calibration: Zhao et al., "Calibrate Before Use", 2021), and an action whose own words
the question uses is likelier beforehand. What a tool answers is the answer; in later turns it
stands in the question, for such a model knows no messages of tools.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from chat.deciders.candidates import Candidate, candidates
from chat.deciders.contract import Call, Decision, Say, TurnView
from chat.speaker import Speaker
from chat.state import SessionPicture
from lisa.models.backbone import counts_on_grids
from lisa.tokenization import escape_conversation
from lisa.tokens import IGNORE_INDEX
from lisa.tool_calls import write_call
from lisa.types import Conversation, Message, TextPart

if TYPE_CHECKING:
    from chat.workbench import Workbench
    from lisa.models import EncodedImage, LisaModel
    from lisa.prompts import SupervisedIds

LEAST_GAIN = 1.2
"""A call has to be likelier than to answer at once by so much, in nats a token: it costs time, and
what is pointed at needs none."""

_NOTE = re.compile(r"\A\(#\d[^\n]*\)\n")
"""What stands before a question about segments is not part of it."""

_REQUEST = "What should be done about this?"
_NO_QUESTION = "N/A"
_MOST_KEPT = 64


class LikelihoodDecider:
    """Calls one tool a turn at most, or lets the model answer."""

    def __init__(self, workbench: Workbench, speaker: Speaker) -> None:
        """Take a model.

        Args:
            workbench: Has it, to read likelihoods from.
            speaker: Says what it says.
        """
        self._workbench = workbench
        self._speaker = speaker
        self._plain: dict[tuple[str, tuple[str, ...]], list[float]] = {}

    def next(self, view: TurnView, say: Callable[[str], None]) -> Decision:
        """Choose a tool if nothing is known yet, and answer in its words; else the model answers.

        Raises:
            PromptError: If the conversation is too long for the model.
        """
        last = view.conversation.messages[-1]
        if view.may_call and last.role == "user":
            chosen = self._choose(view, _NOTE.sub("", last.text))
            if chosen.call is not None:
                return Call(chosen.call, write_call(chosen.call))
        told = _told(view.conversation)
        if told is not None:
            say(told)
            return Say(told, (), "done")
        said = 0

        def watch(text: str) -> bool:
            nonlocal said
            if len(text) > said:
                say(text[said:])
                said = len(text)
            return not view.cancellation.is_over

        prediction = self._speaker.answer(
            view.picture,
            without_tools(view.conversation),
            max_new_tokens=view.max_new_tokens,
            watch=watch,
        )
        say(prediction.text[said:])
        if view.cancellation.is_over:
            return Say(prediction.text, prediction.segments, "time")
        cut = prediction.new_tokens >= view.max_new_tokens
        return Say(prediction.text, prediction.segments, "length" if cut else "done")

    def _choose(self, view: TurnView, question: str) -> Candidate:
        here = [one for one in view.segments if one.picture == view.picture.number]
        offered = frozenset(tool.name for tool in view.tools)
        found = candidates(question, here, offered)
        if len(found) == 1:
            return found[0]
        likelier = self.gains(view.picture, question, [one.sentence for one in found])
        gains = [gain + one.prior for gain, one in zip(likelier, found, strict=True)]
        best = max(range(1, len(found)), key=lambda place: gains[place])
        return found[best] if gains[best] > gains[0] + LEAST_GAIN else found[0]

    def gains(
        self, picture: SessionPicture, question: str, sentences: Sequence[str]
    ) -> list[float]:
        """Return how much likelier a question makes each sentence, in nats a token.

        Args:
            picture: That the question is about.
            question: Plain text.
            sentences: One or more.

        Raises:
            PromptError: If the question is too long for the model.
        """
        asked = self._likelihoods(picture, question, sentences)
        plain = self._without_question(picture, tuple(sentences))
        return [one - other for one, other in zip(asked, plain, strict=True)]

    def _without_question(self, picture: SessionPicture, sentences: tuple[str, ...]) -> list[float]:
        """Return the likelihoods where nothing was asked; they stay the same for a picture."""
        key = (picture.digest, sentences)
        if key not in self._plain:
            if len(self._plain) >= _MOST_KEPT:
                self._plain.pop(next(iter(self._plain)))
            self._plain[key] = self._likelihoods(picture, _NO_QUESTION, sentences)
        return self._plain[key]

    def _likelihoods(
        self, picture: SessionPicture, question: str, sentences: Sequence[str]
    ) -> list[float]:
        """Return the mean log-likelihood of the tokens of each sentence as an answer."""
        with self._workbench.lock, torch.inference_mode():
            pipeline, image = self._workbench.pipeline, self._workbench.encode(picture)
            processor, model = pipeline.processor, pipeline.model
            asked = escape_conversation(
                Conversation().ask(f"{question}\n{_REQUEST}", image_index=0),
                processor.tokenizer.control_tokens,
            )
            size = image.original_size
            processor.encode_conversation(asked, size=size)  # refuses what is too long
            rows = [processor.encode_example(asked.answer(one), size=size) for one in sentences]
            # All sentences behind one question are one pass, where positions can be given.
            alone = counts_on_grids(model.backbone)
            packs = [[row] for row in rows] if alone else [rows]
            return [
                mean
                for pack in packs
                for mean in _mean_likelihoods(model, image, _Pack.of(pack), alone)
            ]


@dataclass(frozen=True, eq=False)
class _Pack:
    """Answers to the same question in one row of T tokens, none of which sees another.

    Attributes:
        ids: (T,), the question first.
        positions: (T,), as if each answer stood alone behind the question.
        seen: bool (T, T), which token sees which.
        answers: Places of the tokens of each answer.
        asked: Tokens of the question.
    """

    ids: Tensor
    positions: Tensor
    seen: Tensor
    answers: tuple[range, ...]
    asked: int

    @classmethod
    def of(cls, rows: Sequence[SupervisedIds]) -> Self:
        asked = next(n for n, label in enumerate(rows[0].labels) if label != IGNORE_INDEX)
        ids, positions = list(rows[0].input_ids[:asked]), list(range(asked))
        owner, answers = [0] * asked, []
        for number, row in enumerate(rows, start=1):
            words = [i for i, n in zip(row.input_ids, row.labels, strict=True) if n != IGNORE_INDEX]
            answers.append(range(len(ids), len(ids) + len(words)))
            ids += words
            positions += range(asked, asked + len(words))
            owner += [number] * len(words)
        whose = torch.tensor(owner)
        seen = ((whose[:, None] == whose) | (whose == 0)).tril()
        return cls(torch.tensor(ids), torch.tensor(positions), seen, tuple(answers), asked)


def _mean_likelihoods(
    model: LisaModel, image: EncodedImage, pack: _Pack, alone: bool
) -> list[float]:
    """Return the mean log-likelihood of the tokens of each answer."""
    ids = pack.ids[None].to(model.device)
    output = model(
        ids,
        torch.ones_like(ids, dtype=torch.bool) if alone else pack.seen[None, None].to(ids.device),
        images=[image],
        image_index=torch.zeros(1, dtype=torch.long, device=ids.device),
        position_ids=None if alone else pack.positions[None].to(ids.device),
    )
    means = []
    for places in pack.answers:
        # What stands before the first token of an answer is the end of the question.
        before = [pack.asked - 1, *places[:-1]]
        chances = output.logits[0, before].float().log_softmax(dim=-1)
        taken = chances.gather(-1, ids[0, places.start : places.stop, None])
        means.append(float(taken.mean()))
    return means


def _told(conversation: Conversation) -> str | None:
    """Return what the last tool said as an answer; None where the model is to answer.

    A model that was trained without tools may not keep to their numbers, so they speak for
    themselves.
    """
    last = conversation.messages[-1]
    if last.role != "tool":
        return None
    return last.text if last.text.endswith(".") else f"{last.text}."


def without_tools(conversation: Conversation) -> Conversation:
    """Return a conversation in which what tools answered stands behind the question, in brackets.

    The calls themselves are left out.
    """
    messages: list[Message] = []
    for place, message in enumerate(conversation.messages):
        following = conversation.messages[place + 1 : place + 2]
        if message.role == "tool":
            known = messages[-1]
            text = TextPart(f"\n({message.text})")
            messages[-1] = Message(known.role, (*known.parts, text))
        elif not (message.role == "assistant" and following and following[0].role == "tool"):
            messages.append(message)
    return Conversation(tuple(messages))
