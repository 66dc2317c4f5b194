from __future__ import annotations

from pathlib import Path

import pytest

from lisa.errors import ConfigError, PromptError
from lisa.prompts import (
    TEMPLATES,
    default_template,
    encode_prompt,
    encode_training,
    get_template,
    image_placeholder,
)
from lisa.tokenization import LegacyLlamaTokenizer
from lisa.tokens import IGNORE_INDEX
from lisa.types import Conversation, Message, RegionPart, TextPart, ToolDescription
from tests.unit.tokenizers import write_tokenizer

IMAGE_ID = -200
WRAPPED = "<im_start><image><im_end>"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> LegacyLlamaTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    added = ("[SEG]", "<im_start>", "<im_end>", "<|im_start|>", "<|im_end|>")
    return LegacyLlamaTokenizer.from_pretrained(write_tokenizer(folder, added))


def two_turns() -> Conversation:
    return Conversation().ask("Q1", 0).answer("A1").ask("Q2")


def test_each_template_by_hand() -> None:
    system = TEMPLATES["llava_v1"].system
    expected = {
        "llava_v1": f"{system} USER: <image>\nQ1 ASSISTANT: A1</s>USER: Q2 ASSISTANT:",
        "vicuna_v1": f"{system.replace('human', 'user')} USER: <image>\nQ1 ASSISTANT: A1</s>"
        "USER: Q2 ASSISTANT:",
        "llava_llama_2": f"[INST] <<SYS>>\n{TEMPLATES['llava_llama_2'].system}\n<</SYS>>\n\n"
        "<image>\nQ1 [/INST] A1 </s><s>[INST] Q2 [/INST]",
        "chatml": "<|im_start|>user\n<image>\nQ1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n"
        "<|im_start|>user\nQ2<|im_end|>\n<|im_start|>assistant\n",
    }
    assert set(expected) == set(TEMPLATES)
    for name, text in expected.items():
        assert get_template(name).render(two_turns()) == text


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_system_message_takes_the_place_of_the_templates_own(name: str) -> None:
    template = get_template(name)
    own = Message("system", (TextPart("Be brief."),))
    text = template.render(Conversation((own, *two_turns().messages)))
    assert text.count("Be brief.") == 1
    assert not template.system or template.system not in text
    silent = Message("system", (TextPart(""),))
    assert "SYS" not in template.render(Conversation((silent, *two_turns().messages)))


def test_default_templates_of_the_released_repositories() -> None:
    assert default_template("xinlai/LISA-7B-v1") == "llava_v1"
    assert default_template("xinlai/LISA-13B-llama2-v1-explanatory") == "llava_v1"
    assert default_template("Senqiao/LISA_Plus_7b") == "vicuna_v1"
    assert default_template("/data/weights/LISA_Plus_7b/") == "vicuna_v1"
    cached = "/home/me/hub/models--Senqiao--LISA_Plus_7b/snapshots/0123abcd"
    assert default_template(cached) == "vicuna_v1"
    assert default_template("my-own") == "llava_v1"


def test_placeholder_follows_the_vocabulary(
    tokenizer: LegacyLlamaTokenizer, tmp_path: Path
) -> None:
    assert image_placeholder(tokenizer) == WRAPPED
    bare = LegacyLlamaTokenizer.from_pretrained(write_tokenizer(tmp_path, ("[SEG]",)))
    assert image_placeholder(bare) == "<image>"


def test_each_picture_gets_its_id(tokenizer: LegacyLlamaTokenizer) -> None:
    conversation = Conversation().ask("Q1", 0).answer("A1").ask("Q2", 1)
    text = get_template("llava_v1").render(conversation, WRAPPED)
    ids = encode_prompt(tokenizer, text, IMAGE_ID)
    assert ids.count(IMAGE_ID) == 2
    assert ids.count(tokenizer.bos_token_id) == 1
    start = tokenizer.convert_tokens_to_ids("<im_start>")
    assert all(ids[i - 1] == start for i, index in enumerate(ids) if index == IMAGE_ID)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_only_answers_are_supervised(name: str, tokenizer: LegacyLlamaTokenizer) -> None:
    conversation = (
        Conversation().ask("Where?", 0).answer("Sure, [SEG].").ask("Why?").answer("It is.")
    )
    template = get_template(name)
    example = encode_training(tokenizer, template, conversation, IMAGE_ID)
    assert len(example.input_ids) == len(example.labels)
    supervised = [i for i in example.labels if i != IGNORE_INDEX]
    end = {"chatml": "<|im_end|>"}.get(name, "</s>")
    words = tokenizer.decode(supervised).replace(end, " ").split()
    assert words == ["Sure,", "[SEG]", ".", "It", "is."]
    assert supervised.count(tokenizer.convert_tokens_to_ids(end) or -1) == 2
    # What generation starts from is exactly what stands before the first answer in training.
    prompt = template.render(Conversation().ask("Where?", 0), image_placeholder(tokenizer))
    ids = encode_prompt(tokenizer, prompt, IMAGE_ID)
    first = next(i for i, label in enumerate(example.labels) if label != IGNORE_INDEX)
    assert example.input_ids[:first] == ids
    cut = encode_training(tokenizer, template, conversation, IMAGE_ID, max_tokens=first + 2)
    assert cut.input_ids == example.input_ids[: first + 2]
    assert cut.labels == example.labels[: first + 2]


def test_what_cannot_be_written_says_why() -> None:
    template = get_template("llava_v1")
    with pytest.raises(PromptError, match="must alternate"):
        template.render(Conversation().ask("Q").ask("Q"))
    with pytest.raises(PromptError, match="must alternate"):
        template.render(Conversation().answer("A"))
    with pytest.raises(PromptError, match="does not take regions"):
        template.render(Conversation((Message("user", (RegionPart(box=(0, 0, 1, 1)),)),)))
    with pytest.raises(ConfigError, match="choose one of chatml, llava_llama_2"):
        get_template("nope")


TOOL = ToolDescription(
    "measure",
    "Measures.",
    {"type": "object", "properties": {"what": {}, "segments": {}}, "required": ["what"]},
)


def test_tools_in_chat_markup() -> None:
    """One line tells of the tools; what they answer is a turn of its own, and nobody learns it."""
    template = get_template("chatml")
    conversation = (
        Conversation(tools=(TOOL,)).ask("Q", 0).answer("CALL").observe("RESULT").answer("A")
    )
    assert template.render(conversation, add_generation_prompt=False) == (
        "<|im_start|>system\nTools: measure(what, segments?)<|im_end|>\n"
        "<|im_start|>user\n<image>\nQ<|im_end|>\n"
        "<|im_start|>assistant\nCALL<|im_end|>\n"
        "<|im_start|>tool\nRESULT<|im_end|>\n"
        "<|im_start|>assistant\nA<|im_end|>\n"
    )
    learnt = [p.text for p in template.pieces(conversation, "<image>", False) if p.supervised]
    assert learnt == ["CALL<|im_end|>", "A<|im_end|>"]
    grown = template.render(conversation.ask("Q2"))
    assert grown.startswith(template.render(conversation, add_generation_prompt=False))


@pytest.mark.parametrize("name", ["llava_v1", "vicuna_v1", "llava_llama_2"])
def test_templates_without_tools_say_so(name) -> None:
    template = get_template(name)
    with pytest.raises(PromptError, match=f"template {name} know no tools"):
        template.render(Conversation(tools=(TOOL,)).ask("Q", 0))
    with pytest.raises(PromptError, match="know no tools"):
        template.render(Conversation().ask("Q", 0).answer("C").observe("R"))


@pytest.mark.parametrize(
    "roles", [["tool"], ["user", "tool"], ["user", "assistant", "tool", "user"], ["user", "user"]]
)
def test_tools_answer_the_assistant_only(roles) -> None:
    messages = tuple(Message(role, (TextPart("x"),)) for role in roles)
    with pytest.raises(PromptError, match="must alternate"):
        get_template("chatml").render(Conversation(messages))
