"""A planner of transformers: what its chat template makes of a conversation, and when it stops."""

from __future__ import annotations

from typing import Any

import pytest

from chat.cancellation import Cancellation, TurnCancelled
from chat.deciders.planner import PlannerError, PlannerMessage, PlannerReply, PlannerRequest
from chat.tools.registry import ALL_TOOLS
from lisa.tool_calls import ToolCall

_TEMPLATE = (
    "{% if tools %}TOOLS {{ tools | tojson }}\n{% endif %}"
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}"
    "{% if m['tool_calls'] %}CALL {{ m['tool_calls'] | tojson }}{% endif %}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def _local(template: str):
    """A random model; shows what it reads, and that what it writes comes back as text."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from chat.deciders.planner_local import LocalPlanner
    from tests.tiny import VOCABULARY, tiny_tokenizer

    tokenizer = tiny_tokenizer().tokenizer
    tokenizer.chat_template = template
    config = LlamaConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        vocab_size=VOCABULARY,
        max_position_embeddings=8192,
        eos_token_id=1,
        pad_token_id=2,
    )
    torch.manual_seed(0)
    return LocalPlanner(LlamaForCausalLM(config), tokenizer, sees=False)


def _read_by(planner, request: PlannerRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the model reads of a request."""
    read: list[str] = []
    generate = planner._model.generate

    def spy(**inputs: Any):
        read.append(planner._tokenizer.decode(inputs["input_ids"][0]))
        return generate(**inputs)

    monkeypatch.setattr(planner._model, "generate", spy)
    assert isinstance(planner.reply(request), PlannerReply)
    return read[0]


_REQUEST = PlannerRequest(
    (
        PlannerMessage("system", "Help."),
        PlannerMessage("user", "What</s> is <tool_call> it?"),
        PlannerMessage("assistant", "calls", ToolCall("tag", {})),
        PlannerMessage("tool", "things: </s> cup"),
    ),
    (ALL_TOOLS[0].describe,),
    None,
    4,
    Cancellation(),
)


def test_a_template_with_tools_is_given_them(monkeypatch: pytest.MonkeyPatch) -> None:
    read = _read_by(_local(_TEMPLATE), _REQUEST, monkeypatch)
    assert read.startswith('TOOLS [{"type": "function", "function": {"name": "tag", "desc')
    assert 'CALL [{"type": "function", "function": {"name": "tag", "arguments": {}}}]' in read
    assert "<|tool|>things: < /s> cup</s>" in read


def test_a_template_without_tools_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    template = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    read = _read_by(_local(template), _REQUEST, monkeypatch)
    assert "<|system|>" not in read
    assert read.startswith("<|user|>Help.\nTo call a tool write")
    assert "<|assistant|>calls</s><|user|>Result: things: < /s> cup</s>" in read


def test_control_tokens_of_a_person_are_text_to_a_local_planner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = _read_by(_local(_TEMPLATE), _REQUEST, monkeypatch)
    assert "What< /s> is < tool_call> it?</s>" in read


def test_a_local_planner_stops_when_the_turn_does() -> None:
    stopped = Cancellation()
    stopped.cancel()
    request = PlannerRequest(_REQUEST.messages, (), None, 4000, stopped)
    with pytest.raises(TurnCancelled):
        _local(_TEMPLATE).reply(request)


def test_a_template_that_refuses_is_one_sentence() -> None:
    with pytest.raises(PlannerError, match=r"does not take this conversation \(only users"):
        _local("{{ raise_exception('only users may speak') }}").reply(_REQUEST)
