"""Deciding by likelihood: the candidates, their scores, and what the model reads at the end."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from chat.cancellation import Cancellation
from chat.deciders.candidates import candidates
from chat.deciders.contract import Call, Say, TurnView
from chat.deciders.likelihood import LEAST_GAIN, LikelihoodDecider, without_tools
from chat.session import ChatSession
from chat.state import SessionPicture, SessionSegment
from chat.steps import Observed
from chat.tools.registry import ALL_TOOLS
from chat.workbench import ModelChoice, Workbench
from lisa.errors import DataError, PromptError
from lisa.hub import NANO, resolve
from lisa.images import open_image
from lisa.pipeline import LisaPipeline
from lisa.tool_calls import ToolCall
from lisa.types import Conversation
from tests.chat_script import ScriptedSpeaker, box_segment
from tests.tiny_nano import nano_model, nano_processor
from tests.unit.chat.tools.bench import picture, workbench

ALL = frozenset(tool.name for tool in ALL_TOOLS)


def _segments(*labels: str | None) -> list[SessionSegment]:
    return [
        SessionSegment(f"#{n}", what, 1, box_segment(picture(), (0, 0, 9, 9)), "answer")
        for n, what in enumerate(labels, start=1)
    ]


def _call(question: str, start: str, segments: list[SessionSegment]) -> ToolCall | None:
    """The call of the candidate whose sentence begins so."""
    found = [one for one in candidates(question, segments, ALL) if one.sentence.startswith(start)]
    assert len(found) <= 1
    return found[0].call if found else None


def _count(**of: str) -> ToolCall:
    return ToolCall("measure", {"what": "count", **of})


@pytest.mark.parametrize(
    ("question", "start", "call"),
    [
        ("What is there?", "List", ToolCall("tag", {})),
        ("How many fruits are there?", "Count", _count(of="fruits")),
        ("How many red cups?", "Count", _count(of="red cups")),
        ("Count.", "Count", _count()),
        (
            "What is to the left of #2?",
            "Find out what is left of",
            ToolCall("relate", {"relation": "left of", "object": "#2"}),
        ),
        (
            "How do the cup and the plate relate?",
            "Find out",
            ToolCall("relate", {"subject": "#1", "object": "#2"}),
        ),
        ("What relates?", "Find out", ToolCall("relate", {})),
        (
            "How large is the plate?",
            "Measure how large",
            ToolCall("measure", {"what": "area", "segments": ["#2"]}),
        ),
        (
            "How far is #2 from the cup?",
            "Measure how far",
            ToolCall("measure", {"what": "distance", "segments": ["#2", "#1"]}),
        ),
        ("Make it small", "Make it sm", ToolCall("edit", {"segment": "#2", "change": "smaller"})),
        ("And #1?", "Zoom", ToolCall("crop", {"segment": "#1"})),
        ("And #7?", "Zoom", None),
        ("What is there?", "Measure how large", None),
        ("How large is #1?", "Measure how far", None),
    ],
)  # fmt: skip
def test_arguments_come_from_the_question(question: str, start: str, call: ToolCall | None) -> None:
    assert _call(question, start, _segments("cup", "plate")) == call


def test_every_candidate_is_a_valid_call_of_its_tool() -> None:
    tools = {tool.name: tool for tool in ALL_TOOLS}
    found = candidates("How far is #1 left of #2?", _segments("cup", None), ALL)
    assert found[0].call is None
    assert len({one.sentence for one in found}) == len(found) == 13
    for one in found[1:]:
        assert one.call is not None
        tools[one.call.name].check(one.call.arguments)
    with pytest.raises(DataError):
        tools["crop"].check({})


@pytest.mark.parametrize(
    ("question", "start"),
    [
        ("Which things do you see?", "List"),
        ("Give me a caption.", "Describe"),
        ("How many fruits are there?", "Count"),
        ("What is left of #2?", "Find out"),
        ("Which things touch the cup?", "Find out"),
        ("How big is the cup?", "Measure how large"),
        ("What color is it?", "Say which colour"),
        ("Show me #1 up close.", "Zoom"),
        ("Make #1 smaller.", "Make it smaller"),
        ("How far is #1 from #2?", "Measure how far"),
        ("Are #1 and #2 overlapping?", "Measure how much"),
        ("Segment everything.", "Find the masks"),
    ],
)
def test_the_questions_own_words_are_a_cue(question: str, start: str) -> None:
    answer, *calls = candidates(question, _segments("cup", "plate"), ALL)
    cued = [one for one in calls if one.prior]
    assert not answer.prior
    assert start in {one.sentence[: len(start)] for one in cued}
    assert len(cued) <= 2


@pytest.mark.parametrize(
    ("question", "is_shown"),
    [("What could I drink from?", False), ("Where is the cup?", True), ("Segment it.", True)],
)
def test_what_shall_be_shown_is_the_models_own(question: str, is_shown: bool) -> None:
    answer, *calls = candidates(question, _segments("cup"), ALL)
    assert not [one for one in calls if one.prior]
    assert (answer.prior > 0) == is_shown


def test_only_offered_tools_are_candidates() -> None:
    (only,) = candidates("What?", _segments("cup"), frozenset())
    assert only.call is None
    names = {one.call.name for one in candidates("What?", [], frozenset({"tag"})) if one.call}
    assert names == {"tag"}


def _view(conversation: Conversation, may_call: bool = True) -> TurnView:
    return TurnView(
        SessionPicture(1, picture(), "x.png"),
        conversation,
        ALL_TOOLS,
        may_call,
        tuple(_segments("cup")),
        Cancellation(),
        64,
    )


class _Judging(LikelihoodDecider):
    """Finds one sentence likelier than the others."""

    def __init__(self, likely: str, gain: float, speaker: Any) -> None:
        super().__init__(SimpleNamespace(), speaker)  # type: ignore[arg-type]
        self.likely, self.gain = likely, gain

    def gains(self, picture: Any, question: str, sentences: Any) -> list[float]:
        return [self.gain if one.startswith(self.likely) else 0.0 for one in sentences]


def test_the_likeliest_action_is_taken() -> None:
    decision = _Judging("Zoom", 2.0, None).next(_view(Conversation().ask("#1?", 0)), print)
    assert isinstance(decision, Call)
    assert decision.call == ToolCall("crop", {"segment": "#1"})


@pytest.mark.parametrize(
    ("likely", "gain"), [("Look", 1.0), ("Zoom", LEAST_GAIN / 2), ("Zoom", -1.0)]
)
def test_the_model_answers_where_no_tool_is_clearly_better(likely: str, gain: float) -> None:
    speaker = ScriptedSpeaker(["It is the cup [SEG]."])
    told: list[str] = []
    decision = _Judging(likely, gain, speaker).next(
        _view(Conversation().ask("#1?", 0)), told.append
    )
    assert isinstance(decision, Say)
    assert "".join(told) == decision.text == "It is the cup [SEG]."
    assert len(decision.segments) == 1


def test_what_a_tool_answers_is_the_answer() -> None:
    """A model that was trained without tools may not keep to their numbers."""
    conversation = Conversation().ask("How many?", 0).answer("call").observe("2: #1 cup, #2 cup")
    speaker = ScriptedSpeaker(["Three."])
    heard: list[str] = []
    said = _Judging("Count", 9.0, speaker).next(_view(conversation), heard.append)
    assert isinstance(said, Say)
    assert (said.text, said.segments, said.ending) == ("2: #1 cup, #2 cup.", (), "done")
    assert heard == ["2: #1 cup, #2 cup."]
    assert not speaker.heard


def test_a_note_of_segments_is_not_part_of_the_question() -> None:
    noted = Conversation().ask("(#1 cup, #2 pear)\nWhat is left of #2?", 0)
    decision = _Judging("Find out", 9.0, ScriptedSpeaker([])).next(_view(noted), print)
    assert isinstance(decision, Call)
    # Of the two only a cup is known here, and only the note speaks of it.
    assert decision.call.arguments == {"relation": "left of"}


def test_without_calls_left_nothing_is_weighed() -> None:
    speaker = ScriptedSpeaker(["Two."])
    view = _view(Conversation().ask("How many?", 0), may_call=False)
    assert isinstance(_Judging("Count", 9.0, speaker).next(view, print), Say)


def test_earlier_turns_are_read_the_same_way_again() -> None:
    one = Conversation().ask("How many?", 0).answer("call").observe("2").answer("Two.").ask("Why?")
    told = without_tools(one)
    assert [message.text for message in told.messages] == ["How many?\n(2)", "Two.", "Why?"]
    assert [message.role for message in told.messages] == ["user", "assistant", "user"]


@pytest.fixture(scope="module")
def bench() -> Workbench:
    return Workbench.of(LisaPipeline(nano_model(), nano_processor()))


def test_scores_are_mean_log_likelihoods_as_if_each_sentence_stood_alone(bench: Workbench) -> None:
    decider = LikelihoodDecider(bench, ScriptedSpeaker([]))
    shown = SessionPicture(1, picture(), "x.png")
    sentences = ["Count.", "Look at it now.", "Zoom in on it."]
    together = decider.gains(shown, "How many?", sentences)
    alone = [decider.gains(shown, "How many?", [one])[0] for one in sentences]
    assert together == pytest.approx(alone, abs=1e-4)

    pipeline, image = bench.pipeline, bench.encode(shown)

    def plainly(question: str, sentence: str) -> float:
        asked = Conversation().ask(f"{question}\nWhat should be done about this?", 0)
        row = pipeline.processor.encode_example(asked.answer(sentence))
        ids = torch.tensor([row.input_ids])
        with torch.no_grad():
            logits = pipeline.model(ids, images=[image]).logits[0].log_softmax(-1)
        places = [n for n, label in enumerate(row.labels) if label != -100]
        return sum(float(logits[n - 1, ids[0, n]]) for n in places) / len(places)

    wanted = [plainly("How many?", one) - plainly("N/A", one) for one in sentences]
    assert together == pytest.approx(wanted, abs=1e-4)
    assert bench.encodings == 1


def test_what_is_likely_without_a_question_is_found_out_once(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    decider = LikelihoodDecider(bench, ScriptedSpeaker([]))
    passes: list[int] = []
    forward = bench.pipeline.model.forward

    def spy(*inputs: Any, **options: Any) -> Any:
        passes.append(1)
        return forward(*inputs, **options)

    monkeypatch.setattr(bench.pipeline.model, "forward", spy)
    shown = SessionPicture(1, picture(), "x.png")
    for question in ("How many?", "Where?", "How many?"):
        decider.gains(shown, question, ["Count.", "Look."])
    assert len(passes) == 4


def test_control_tokens_of_a_question_are_text_when_it_is_weighed(bench: Workbench) -> None:
    decider = LikelihoodDecider(bench, ScriptedSpeaker([]))
    shown = SessionPicture(1, picture(), "x.png")
    spelt, broken = "cup </s> [SEG]", "cup < /s> [ SEG]"
    assert decider.gains(shown, spelt, ["Count."]) == pytest.approx(
        decider.gains(shown, broken, ["Count."])
    )


def test_a_question_that_is_too_long_is_refused(bench: Workbench) -> None:
    decider = LikelihoodDecider(bench, ScriptedSpeaker([]))
    with pytest.raises(PromptError, match="the model reads at most"):
        decider.gains(SessionPicture(1, picture(), "x.png"), "how " * 3000, ["Count."])


def test_a_turn_calls_one_tool_and_answers() -> None:
    speaker = ScriptedSpeaker(["There are two."])
    session = ChatSession(workbench(), decider=_Judging("Count", 9.0, speaker))
    session.add_picture(picture())
    turn = session.ask("How many fruits are there?")
    assert [step.text for step in turn.steps if isinstance(step, Observed)] == [
        "2: #1 pear, #2 apple"
    ]
    assert turn.answer.text == "2: #1 pear, #2 apple."


@pytest.mark.slow
def test_lisa_nano_chooses_sensibly_as_if_it_knew_no_tools() -> None:
    wanted = {
        "How many fruits are there?": "measure",
        "How large is #1?": "measure",
        "What is left of #1?": "relate",
        "What colour is #1?": "describe_region",
        "Make it bigger.": "edit",
        "Where is the flamingo?": None,
        "What could I paint with?": None,
        "Segment the raspberry.": None,
    }
    bench = Workbench(ModelChoice(offline=True))
    decider = LikelihoodDecider(bench, ScriptedSpeaker(["It."] * len(wanted)))
    shown = SessionPicture(1, open_image(resolve(NANO) / "demo" / "scene.jpg"), "scene.jpg")
    chosen = {}
    for question in wanted:
        view = replace(_view(Conversation().ask(question, 0)), picture=shown)
        decision = decider.next(view, lambda text: None)
        chosen[question] = decision.call.name if isinstance(decision, Call) else None
    right = [question for question in wanted if chosen[question] == wanted[question]]
    assert len(right) >= 6, chosen
