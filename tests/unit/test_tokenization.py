from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from lisa.errors import CheckpointError, ConfigError
from lisa.prompts import TEMPLATES, encode_prompt, image_placeholder
from lisa.tokenization import (
    HubTokenizer,
    LegacyLlamaTokenizer,
    TextTokenizer,
    escape_control_tokens,
    load_tokenizer,
)
from lisa.types import Conversation
from tests.unit.tokenizers import write_tokenizer

ADDED = ("<im_patch>", "<im_start>", "<im_end>", "[SEG]")
IMAGE_ID = -200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"), ADDED)


@pytest.fixture(scope="module")
def legacy(folder: Path) -> LegacyLlamaTokenizer:
    return LegacyLlamaTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def hub() -> HubTokenizer:
    """A byte-level tokenizer like SmolLM2's: ChatML marks, one of them also named begin token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({token: i for i, token in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
    )
    fast.add_tokens(["[SEG]", "[REJ]"])
    return HubTokenizer(fast)


# --- what a user writes never becomes a control token ---


def control_ids(tokenizer: TextTokenizer) -> set[int]:
    ids = map(tokenizer.convert_tokens_to_ids, tokenizer.control_tokens)
    return {index for index in ids if index is not None} | {IMAGE_ID}


fragments = st.sampled_from(
    [*ADDED, "<image>", "<s>", "</s>", "<unk>", "[REJ]", "<|im_start|>", "<|im_end|>", "[SE", "G]",
     "<", "s>", "/s>", "<im", "_start>", "age>", " ", "\n", "▁", "ASSISTANT:"]
)  # fmt: skip
hostile_text = st.lists(st.one_of(fragments, st.text(max_size=6)), max_size=12).map("".join)


@settings(max_examples=150, deadline=None)
@given(text=hostile_text, template=st.sampled_from(sorted(TEMPLATES)))
def test_escaped_text_has_no_control_ids(
    text: str, template: str, legacy: LegacyLlamaTokenizer, hub: HubTokenizer
) -> None:
    for tokenizer in (legacy, hub):
        escaped = escape_control_tokens(text, tokenizer.control_tokens)
        assert not control_ids(tokenizer) & set(
            encode_prompt(tokenizer, escaped, IMAGE_ID)[tokenizer.bos_token_id is not None :]
        )
        assert escaped.replace(" ", "") == text.replace(" ", ""), "only blanks are added"
        # Inside a prompt nothing joins up with what stands around it either.
        prompts = [
            encode_prompt(
                tokenizer,
                TEMPLATES[template].render(
                    Conversation().ask(question, image_index=0), image_placeholder(tokenizer)
                ),
                IMAGE_ID,
            )
            for question in (escaped, "harmless")
        ]
        controls = [[i for i in ids if i in control_ids(tokenizer)] for ids in prompts]
        assert controls[0] == controls[1]


@given(text=st.text())
@settings(max_examples=100, deadline=None)
def test_text_without_control_tokens_is_left_alone(text: str) -> None:
    if not any(token in text for token in (*ADDED, "<s>")):
        assert escape_control_tokens(text, (*ADDED, "<s>")) == text


def test_escaping_is_readable_and_handles_overlaps() -> None:
    assert escape_control_tokens("type [SEG] please", ["[SEG]"]) == "type [ SEG] please"
    escaped = escape_control_tokens("abab", ["ab", "ba"])
    assert "ab" not in escaped
    assert "ba" not in escaped
    assert escape_control_tokens("a|b", ["|"]) == "a b"
    assert escape_control_tokens("a", []) == "a"


# --- the 4.31 rules ---


def test_blanks_around_added_tokens_are_dropped_and_kept_around_special_ones(
    legacy: LegacyLlamaTokenizer,
) -> None:
    assert legacy.tokenize("Sure, [SEG].")[-3:] == ["[SEG]", "▁", "."]
    assert legacy.tokenize("cup \n[SEG]\n cup") == legacy.tokenize("cup[SEG]cup")
    spaced = legacy.tokenize("cup </s> cup")
    assert spaced != legacy.tokenize("cup</s>cup")
    assert spaced.count("</s>") == 1


def test_ids_and_sizes(legacy: LegacyLlamaTokenizer) -> None:
    assert (legacy.bos_token_id, legacy.eos_token_id, legacy.pad_token_id) == (1, 2, 0)
    assert legacy.convert_tokens_to_ids("[SEG]") == 303
    assert legacy.convert_tokens_to_ids("[REJ]") is None
    assert legacy.convert_tokens_to_ids("<unk>") == 0
    assert legacy.vocab_size == len(legacy) == 304
    assert legacy.model_max_length == 64
    assert legacy.encode("")[0] == legacy.bos_token_id
    assert legacy.encode("", add_bos=False) == []


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_decode_inverts_encode_of_plain_text(text: str, legacy: LegacyLlamaTokenizer) -> None:
    plain = escape_control_tokens(text, legacy.control_tokens).replace("▁", " ")
    assert legacy.decode(legacy.encode(plain, add_bos=False)) == plain


def test_decode_leaves_out_ids_that_name_no_token(legacy: LegacyLlamaTokenizer) -> None:
    ids = legacy.encode("cup", add_bos=False)
    assert legacy.decode([*ids, -200, 99_999]) == "cup"
    assert legacy.decode([1, *ids, 303, 2], skip_special_tokens=True) == "cup [SEG]"


def test_newer_llama_files_do_not_get_a_fresh_word_start(tmp_path: Path) -> None:
    tokenizer = LegacyLlamaTokenizer.from_pretrained(
        write_tokenizer(tmp_path, ("[SEG]",), legacy=False)
    )
    assert tokenizer.tokenize("[SEG].") == ["[SEG]", "."]
    assert tokenizer.tokenize("cup")[0].startswith("▁")


# --- files ---


def test_saved_files_load_again_and_save_the_same(
    legacy: LegacyLlamaTokenizer, folder: Path, tmp_path: Path
) -> None:
    legacy.save_pretrained(tmp_path / "once")
    again = load_tokenizer(tmp_path / "once")
    assert isinstance(again, LegacyLlamaTokenizer)
    again.save_pretrained(tmp_path / "twice")
    names = sorted(path.name for path in (tmp_path / "once").iterdir())
    assert "tokenizer.json" not in names
    for name in names:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()
    model = "tokenizer.model"
    assert (tmp_path / "once" / model).read_bytes() == (folder / model).read_bytes()
    text = "Sure, [SEG]. <im_start><im_end>\nnext </s> cup"
    assert again.encode(text) == legacy.encode(text)


def test_damaged_and_missing_files_say_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.model"):
        LegacyLlamaTokenizer.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="holds no tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match="not a sentencepiece model"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes((folder / "tokenizer.model").read_bytes())
    (tmp_path / "added_tokens.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        load_tokenizer(tmp_path)
    (tmp_path / "added_tokens.json").write_text("[]", encoding="utf-8")
    with pytest.raises(CheckpointError, match="does not hold a JSON object"):
        load_tokenizer(tmp_path)


def test_a_special_token_without_an_id_is_refused(folder: Path) -> None:
    proto = (folder / "tokenizer.model").read_bytes()
    with pytest.raises(ConfigError, match=r'"\[PAD\]" has no id'):
        LegacyLlamaTokenizer(proto, {}, {"pad_token": "[PAD]"}, {})


# --- the adapter ---


def test_hub_tokenizer(hub: HubTokenizer, tmp_path: Path) -> None:
    text = "<|im_start|>user\nWhere is it?<|im_end|>\nSure, [SEG]."
    ids = hub.encode(text)
    assert hub.bos_token_id is None, "named, but never written by itself"
    assert ids[0] == hub.convert_tokens_to_ids("<|im_start|>")
    assert hub.convert_tokens_to_ids("[SEG]") in ids
    assert hub.convert_tokens_to_ids("nowhere") is None
    assert hub.decode([*ids, -200]) == text
    assert hub.eos_token_id == hub.pad_token_id == hub.convert_tokens_to_ids("<|im_end|>")
    assert {"[SEG]", "[REJ]", "<image>", "<|im_end|>"} <= set(hub.control_tokens)
    hub.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert isinstance(again, HubTokenizer)
    assert again.encode(text) == ids
    assert again.vocab_size == hub.vocab_size


def test_hub_tokenizer_needs_an_end_token() -> None:
    with pytest.raises(ConfigError, match="no end token"):
        HubTokenizer(PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE())))
