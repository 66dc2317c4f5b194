from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoProcessor

from lisa.errors import CheckpointError, ConfigError, PromptError
from lisa.processor import PROCESSOR_FILE, LisaProcessor, check_settings, shown_image
from lisa.tokens import IGNORE_INDEX
from lisa.types import Conversation, ImagePart, Message, RegionPart, TextPart
from tests.tiny import IMAGE_ID, SEG_ID, picture, tiny_config, tiny_model, tiny_processor


def asked(question: str = "Where?") -> Conversation:
    return Conversation().ask(question, image_index=0)


def test_every_image_token_is_written() -> None:
    processor = tiny_processor(patches_a_side=3)
    inputs = processor([picture(9, 7)], [asked(), asked("And where is the other one?")])
    counts = (inputs.input_ids == IMAGE_ID).sum(dim=1)
    assert counts.tolist() == [9, 9]
    assert inputs.image_index.tolist() == [0, 0]
    assert inputs.attention_mask[:, -1].all()
    assert not inputs.attention_mask[0, 0]
    assert inputs.images.pixel_values.shape == (1, 3, 42, 42)
    assert inputs.images.sam_pixel_values.shape == (1, 3, 64, 64)
    assert inputs.images.original_sizes == ((9, 7),)
    assert inputs.images.resized_sizes == ((64, 50),)


def test_examples_supervise_answers_only() -> None:
    processor = tiny_processor()
    talk = asked().answer("It is here [SEG].").ask("Thanks?").answer("Yes.")
    example = processor.encode_example(talk)
    assert len(example.input_ids) == len(example.labels)
    learnt = [i for i in example.labels if i != IGNORE_INDEX]
    assert processor.tokenizer.decode(learnt) == " It is here [SEG].</s> Yes.</s>"
    assert SEG_ID in learnt
    assert IMAGE_ID not in learnt


def test_saved_and_loaded_it_does_the_same(tmp_path) -> None:
    processor = tiny_processor()
    processor.save_pretrained(tmp_path)
    tiny_model().save_pretrained(tmp_path)
    for loaded in (
        LisaProcessor.from_pretrained(tmp_path),
        AutoProcessor.from_pretrained(tmp_path),
    ):
        assert isinstance(loaded, LisaProcessor)
        one, other = (p([picture(50, 33)], [asked()]) for p in (processor, loaded))
        assert torch.equal(one.input_ids, other.input_ids)
        assert torch.equal(one.images.pixel_values, other.images.pixel_values)
        assert torch.equal(one.images.sam_pixel_values, other.images.sam_pixel_values)
    assert LisaProcessor.from_pretrained(tmp_path, "chatml").settings.template == "chatml"
    with pytest.raises(ConfigError, match='no template "x"'):
        LisaProcessor.from_pretrained(tmp_path, "x")


def test_a_backbone_may_see_the_frame(tmp_path) -> None:
    parts = tiny_processor()
    processor = LisaProcessor(parts.tokenizer, parts.transform, parts.settings, None)
    processor.save_pretrained(tmp_path)
    images = LisaProcessor.from_pretrained(tmp_path).encode_images([picture(20, 40)])
    assert torch.equal(images.pixel_values, images.sam_pixel_values)


@pytest.mark.parametrize("content", ["", "{", "{}", '{"settings": {"x": 1}, "frame": {}}', "[]"])
def test_damaged_settings_get_a_sentence(tmp_path, content: str) -> None:
    (tmp_path / PROCESSOR_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match="is missing or damaged"):
        LisaProcessor.from_pretrained(tmp_path)


def test_settings_are_plain(tmp_path) -> None:
    tiny_processor().save_pretrained(tmp_path)
    stored = json.loads((tmp_path / PROCESSOR_FILE).read_text(encoding="utf-8"))
    assert stored["processor_class"] == "LisaProcessor"
    assert stored["settings"]["image_tokens"] == 4


@pytest.mark.parametrize("question", ["", "   ", "\n\t"])
def test_an_empty_question(question: str) -> None:
    with pytest.raises(PromptError, match="The question is empty"):
        tiny_processor().encode_conversation(asked(question))
    with pytest.raises(PromptError, match="The question is empty"):
        tiny_processor().encode_conversation(Conversation())


def test_a_conversation_longer_than_the_context() -> None:
    processor = tiny_processor(context=300)
    with pytest.raises(
        PromptError, match=r"has \d+ tokens with its picture, .* at most 299: ask a"
    ):
        processor.encode_conversation(asked("x" * 300))
    length = len(tiny_processor().encode_conversation(asked()))
    assert len(tiny_processor(context=length + 1).encode_conversation(asked())) == length
    with pytest.raises(PromptError):
        tiny_processor(context=length).encode_conversation(asked())


def test_which_picture_a_conversation_shows() -> None:
    assert shown_image(asked().answer("Here.").ask("And?")) == 0
    with pytest.raises(PromptError, match="shows 0 pictures"):
        shown_image(Conversation().ask("Where?"))
    both = Conversation((Message("user", (ImagePart(0), ImagePart(1), TextPart("Which?"))),))
    with pytest.raises(PromptError, match="shows 2 pictures"):
        shown_image(both)
    with pytest.raises(PromptError, match="picture 3 of 1"):
        tiny_processor()([picture(5, 5)], [asked()], [3])


def test_regions_are_refused_in_a_question() -> None:
    region = Message("user", (ImagePart(0), RegionPart(box=(0, 0, 3, 3)), TextPart("What is it?")))
    with pytest.raises(PromptError, match="does not take regions"):
        tiny_processor().encode_conversation(Conversation((region,)))


def test_answers_keep_their_masks_and_lose_what_is_around() -> None:
    processor = tiny_processor()
    ids = processor.tokenizer.encode(" Here: ", add_bos=True)
    assert processor.decode_answer([*ids, SEG_ID, 1, 2, 2]) == "Here: [SEG]"


def test_a_processor_of_another_model() -> None:
    with pytest.raises(ConfigError, match="writes image token -200, the model reads 5"):
        check_settings(tiny_processor().settings, tiny_config(image_token_id=5))
