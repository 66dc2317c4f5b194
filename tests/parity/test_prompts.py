"""Prompts of the released checkpoints, token for token, against vectors of the original."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lisa.prompts import encode_prompt, encode_training, get_template, image_placeholder
from lisa.tokenization import LegacyLlamaTokenizer
from lisa.tokens import IGNORE_INDEX, SEG_TOKEN
from lisa.types import Conversation
from tests.parity.golden import Case, each_case

TEMPLATE_NAMES = ("llava_v1", "llava_llama_2")
# The original cuts every training batch at model_max_length less this many ids, whatever the image.
ORIGINAL_IMAGE_ALLOWANCE = 255


pytestmark = pytest.mark.parity


class Vectors:
    """One case folder, with the tokenizers that it names."""

    def __init__(self, case: Case) -> None:
        text = (case.path / "prompts.json").read_text(encoding="utf-8")
        self.content: dict[str, Any] = json.loads(text)
        self.image_id: int = self.content["image_placeholder_id"]
        self.tokenizers = {
            name: LegacyLlamaTokenizer.from_pretrained(case.path.parent / path)
            for name, path in self.content["tokenizers"].items()
        }


@each_case("lisa_prompts")
@pytest.mark.parametrize("name", TEMPLATE_NAMES)
@pytest.mark.parametrize("kind", ["inference", "inference_explanatory"])
def test_inference_prompts(case: Case, name: str, kind: str) -> None:
    vectors = Vectors(case)
    for prompt in vectors.content["prompts"]:
        expected = prompt[name][kind]
        user = prompt["user"]
        if kind == "inference_explanatory":
            user += " " + prompt["explanatory_suffix"]
        conversation = Conversation().ask(user, image_index=0)
        for tokenizer_name, ids in expected["ids"].items():
            tokenizer = vectors.tokenizers[tokenizer_name]
            text = get_template(name).render(conversation, image_placeholder(tokenizer))
            assert text == expected["text"], prompt["index"]
            assert encode_prompt(tokenizer, text, vectors.image_id) == ids, prompt["index"]


@each_case("lisa_prompts")
@pytest.mark.parametrize("name", TEMPLATE_NAMES)
@pytest.mark.parametrize("kind", ["training", "training_explanatory"])
def test_training_examples(case: Case, name: str, kind: str) -> None:
    vectors = Vectors(case)
    template = get_template(name)
    for prompt in vectors.content["prompts"]:
        expected = prompt[name][kind]
        user = prompt["user"]
        if kind == "training_explanatory":
            user += " " + prompt["explanatory_suffix"]
        conversation = Conversation().ask(user, image_index=0).answer(expected["answer"])
        text = template.render(conversation, add_generation_prompt=False)
        assert text == expected["conversation"], prompt["index"]
        for tokenizer_name, tokenizer in vectors.tokenizers.items():
            wrapped = template.render(conversation, image_placeholder(tokenizer), False)
            assert wrapped == expected["conversation_wrapped"], prompt["index"]
            example = encode_training(tokenizer, template, conversation, vectors.image_id)
            if tokenizer_name in expected.get("ids", {}):
                assert example.input_ids == expected["ids"][tokenizer_name], prompt["index"]
                assert example.labels == expected["labels"][tokenizer_name], prompt["index"]
                assert set(expected["attention_mask"][tokenizer_name]) == {1}
            else:
                # The original's own assertion fails here, because a question's control tokens or
                # brackets break its search for the answer. We know where the answer stands: it, and
                # nothing of the question, is supervised.
                assert tokenizer_name in expected["reference_collate_raises_AssertionError"]
                check_only_answer_supervised(tokenizer, example.labels, expected["answer"])


def check_only_answer_supervised(
    tokenizer: LegacyLlamaTokenizer, labels: list[int], answer: str
) -> None:
    supervised = [label for label in labels if label != IGNORE_INDEX]
    assert supervised[-1] == tokenizer.eos_token_id
    assert tokenizer.eos_token_id not in supervised[:-1]
    seg = tokenizer.convert_tokens_to_ids(SEG_TOKEN)
    assert supervised.count(seg or -1) == answer.count(SEG_TOKEN)
    assert labels[-len(supervised) :] == supervised, "one answer, at the end"
    assert (
        tokenizer.decode(supervised[:-1]).split()
        == tokenizer.decode(tokenizer.encode(answer, add_bos=False)).split()
    )


@each_case("lisa_prompts")
@pytest.mark.parametrize("kind", ["training_truncated", "inference_not_truncated"])
def test_batches(case: Case, kind: str) -> None:
    vectors = Vectors(case)
    batch = vectors.content["batches"][kind]
    tokenizer = vectors.tokenizers[batch["tokenizer"]]
    template = get_template("llava_v1")
    conversations = [
        parse_plain_roles(text, template.system)
        for text in vectors.content["batches"]["conversations"]
    ]
    width = len(batch["input_ids"][0])
    limit = None
    if kind == "training_truncated":
        limit = batch["model_max_length"] - ORIGINAL_IMAGE_ALLOWANCE
        assert width <= limit
    for row, conversation in enumerate(conversations):
        example = encode_training(tokenizer, template, conversation, vectors.image_id, limit)
        padding = width - len(example.input_ids)
        ids = example.input_ids + [tokenizer.pad_token_id] * padding
        assert ids == batch["input_ids"][row]
        assert example.labels + [IGNORE_INDEX] * padding == batch["labels"][row]
        mask = [1] * len(example.input_ids) + [0] * padding
        assert mask == list(map(int, batch["attention_mask"][row]))


def parse_plain_roles(text: str, system: str) -> Conversation:
    """Reads a rendered llava_v1 conversation back, so that any root's conversations can be used."""
    conversation = Conversation()
    rounds = text.removeprefix(system + " ").split("</s>")
    for turn in filter(None, rounds):
        question, answer = turn.removeprefix("USER: ").split(" ASSISTANT: ")
        shown = question.startswith("<image>\n")
        question = question.removeprefix("<image>\n")
        conversation = conversation.ask(question, 0 if shown else None).answer(answer)
    return conversation


@each_case("lisa_prompts")
def test_raw_tokenizer(case: Case) -> None:
    vectors = Vectors(case)
    for sample in vectors.content["raw_tokenizer"]:
        for name, tokenizer in vectors.tokenizers.items():
            text = sample["text"]
            assert tokenizer.encode(text) == sample["ids"][name], text
            assert tokenizer.encode(text, add_bos=False) == sample["ids_no_special"][name], text
            assert tokenizer.tokenize(text) == sample["tokens"][name], text


@each_case("lisa_prompts")
def test_decode(case: Case) -> None:
    vectors = Vectors(case)
    for sample in vectors.content["decode"]:
        tokenizer = vectors.tokenizers[sample["tokenizer"]]
        text = tokenizer.decode(sample["ids"])
        assert text == sample["decode"]
        assert text.replace("\n", "").replace("  ", " ") == sample["decode_chat_clean"]
        without = tokenizer.decode(sample["ids"], skip_special_tokens=True)
        assert without == sample["decode_skip_special"]


@each_case("lisa_prompts")
def test_template_examples(case: Case) -> None:
    vectors = Vectors(case)
    conversation = Conversation()
    for turn in ("1", "2"):
        conversation = conversation.ask(f"Q{turn}").answer(f"A{turn}")
    conversation = conversation.ask("Q3")
    for name, expected in vectors.content["templates"].items():
        assert get_template(name).render(conversation) == expected["empty_user_example"]
