"""A LISA from a vision-language model and a SAM: nothing that was loaded changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from lisa.assemble import NEW_TOKENS, assemble, is_base_model
from lisa.devices import choose_placement
from lisa.errors import CheckpointError, ConfigError
from lisa.models import LisaConfig, LisaModel
from lisa.models.segmenters import PRESETS
from lisa.pipeline import LisaPipeline
from lisa.tokens import IGNORE_INDEX, SEG_TOKEN
from lisa.types import Conversation, ImagePart, ImageSize, Message, TextPart
from tests.tiny import picture, tiny_model
from tests.tiny_base import (
    PADDED_ROWS,
    QWENS,
    idefics3_config,
    llava_tokenizer,
    qwen2_5_config,
    qwen_tokenizer,
    tiny_lisa,
    write_base,
    write_sam,
)

KINDS = ["llava", *QWENS]
CPU = choose_placement("cpu", "float32")
SIZE = ImageSize(90, 60)


@pytest.fixture(scope="module", params=KINDS)
def built(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return folder, *tiny_lisa(folder, request.param)


def test_every_loaded_weight_is_as_it_was(built) -> None:
    """All but the rows of the two tokens that the vocabulary had no use for before."""
    folder, model, processor = built
    base = AutoModelForImageTextToText.from_pretrained(folder / "base").state_dict()
    mine = model.backbone.state_dict()
    assert base.keys() == mine.keys()
    known = processor.tokenizer.vocab_size - len(NEW_TOKENS)
    tables = {"model.language_model.embed_tokens.weight", "lm_head.weight"}
    for name, weight in base.items():
        if name in tables:
            assert torch.equal(weight[:known], mine[name][:known])
            rest = known + len(NEW_TOKENS)
            assert torch.equal(weight[rest:], mine[name][rest:])
            fresh = mine[name][known:rest]
            torch.testing.assert_close(fresh, weight[:known].mean(dim=0).expand_as(fresh))
        else:
            assert torch.equal(weight, mine[name]), name
    sam = torch.load(folder / "sam_vit_b.pth", weights_only=True)
    segmenter = model.segmenter.state_dict()
    assert sam.keys() == segmenter.keys()
    assert all(torch.equal(sam[name], segmenter[name]) for name in sam)


def test_tables_grow_only_where_they_must(built) -> None:
    folder, model, processor = built
    before = json.loads((folder / "base" / "config.json").read_text())["text_config"]["vocab_size"]
    size = processor.tokenizer.vocab_size
    has_room = before == size - len(NEW_TOKENS) + PADDED_ROWS
    assert model.config.vocabulary_size == (before if has_room else size)
    assert len(model.backbone.get_output_embeddings().weight) == model.config.vocabulary_size


def test_the_seed_decides_what_is_fresh(built) -> None:
    folder, model, _ = built
    for seed, same in ((0, True), (1, False)):
        torch.manual_seed(99)
        again, _ = assemble(folder / "base", folder / "sam_vit_b.pth", CPU, seed=seed)
        weight = again.mask_projection[0].weight
        assert torch.equal(weight, model.mask_projection[0].weight) is same


def test_saved_and_loaded_it_answers_the_same(built, tmp_path: Path) -> None:
    _, model, processor = built
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = LisaPipeline.from_pretrained(tmp_path, device="cpu", dtype="float32")
    before, after = model.state_dict(), loaded.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert loaded.processor.settings == processor.settings
    talk = Conversation().ask("Where is it?", image_index=0).answer("It is [SEG].")
    ids = torch.tensor([processor.encode_example(talk, size=SIZE).input_ids])
    outputs = []
    for pipeline in (LisaPipeline(model, processor), loaded):
        image = pipeline.encode(picture(*SIZE))
        with torch.no_grad():
            outputs.append(pipeline.model(ids, images=[image]))
    torch.testing.assert_close(outputs[0].logits, outputs[1].logits)
    torch.testing.assert_close(outputs[0].mask_logits[0], outputs[1].mask_logits[0])
    answers = [
        pipeline(picture(*SIZE), "Where is it?", max_new_tokens=6).text
        for pipeline in (LisaPipeline(model, processor), loaded)
    ]
    assert answers[0] == answers[1]


TALKS = [
    [("user", "Where is it?")],
    [("user", "Where is it?"), ("assistant", "It is [SEG]."), ("user", "  And that?\n")],
    [("system", "Be short."), ("user", "Where?"), ("assistant", "Here [SEG]."), ("user", "Why?")],
]


def as_conversation(turns) -> Conversation:
    messages = []
    for role, text in turns:
        shown = role == "user" and not any(m.role == "user" for m in messages)
        messages.append(Message(role, (*((ImagePart(0),) if shown else ()), TextPart(text))))
    return Conversation(tuple(messages))


@pytest.mark.parametrize("turns", TALKS, ids=["one", "two", "system"])
def test_prompts_are_those_of_the_checkpoint(built, turns) -> None:
    """Token for token what the tokenizer's own chat template gives, with the picture expanded."""
    _, _, processor = built
    image, seen, messages = processor.settings.image_token_id, False, []
    for role, text in turns:
        shown = [{"type": "image"}] if role == "user" and not seen else []
        seen = seen or role == "user"
        messages.append({"role": role, "content": [*shown, {"type": "text", "text": text}]})
    expected = processor.tokenizer.tokenizer.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=False
    )
    assert expected.count(image) == 1
    count = processor.count_image_tokens(SIZE)
    place = expected.index(image)
    expanded = [*expected[:place], *[image] * count, *expected[place + 1 :]]
    assert processor.encode_conversation(as_conversation(turns), size=SIZE) == expanded


def test_answers_and_their_ends_are_learnt(built) -> None:
    _, _, processor = built
    talk = as_conversation(TALKS[1]).answer("There [SEG].")
    example = processor.encode_example(talk, size=SIZE)
    learnt = [label for label in example.labels if label != IGNORE_INDEX]
    end = processor.tokenizer.eos_token
    assert processor.tokenizer.decode(learnt) == f"It is[SEG].{end}There[SEG].{end}"
    assert learnt.count(processor.tokenizer.convert_tokens_to_ids(SEG_TOKEN)) == 2
    prompt = processor.encode_conversation(as_conversation(TALKS[1]), size=SIZE)
    assert example.input_ids[: len(prompt)] == prompt


def test_most_tokens_of_a_picture(tmp_path: Path) -> None:
    model, processor = tiny_lisa(tmp_path, "qwen2_5_vl", image_tokens=9)
    large = picture(500, 700)
    assert processor.count_image_tokens(ImageSize(500, 700)) <= 9
    assert len(LisaPipeline(model, processor).encode(large).image_tokens) <= 9
    processor.save_pretrained(tmp_path / "saved")
    loaded = type(processor).from_pretrained(tmp_path / "saved")
    assert loaded.count_image_tokens(ImageSize(500, 700)) <= 9
    with pytest.raises(ConfigError, match="gives every picture the same number of tokens"):
        tiny_lisa(tmp_path / "llava", "llava", image_tokens=9)


@pytest.mark.parametrize("tiles", [False, True])
def test_models_that_cut_pictures_into_tiles(tmp_path: Path, tiles: bool) -> None:
    """Idefics3 (SmolVLM's architecture): one tile a picture serves, as many as it likes do not."""
    tokenizer = llava_tokenizer()
    base = write_base(tmp_path / "base", "llava", idefics3_config(tokenizer))
    Idefics3ImageProcessorPil(
        do_image_splitting=tiles, size={"longest_edge": 56}, max_image_size={"longest_edge": 28}
    ).save_pretrained(base)
    sam = write_sam(tmp_path / "sam.pth")
    if tiles:
        with pytest.raises(ConfigError, match="Idefics3.* cuts pictures into tiles"):
            assemble(base, sam, CPU)
        return
    model, processor = assemble(base, sam, CPU)
    assert processor.settings.image_tokens == 4
    assert len(LisaPipeline(model, processor).encode(picture(*SIZE)).image_tokens) == 4


def test_tied_tables_stay_tied(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", "qwen2_5_vl", qwen2_5_config(qwen_tokenizer(), tied=True))
    model, processor = assemble(base, write_sam(tmp_path / "sam.pth"), CPU)
    model.save_pretrained(tmp_path / "saved")
    loaded = LisaModel.from_pretrained(tmp_path / "saved")
    for one in (model, loaded):
        table = one.backbone.get_input_embeddings().weight
        assert one.backbone.get_output_embeddings().weight is table


def test_number_types(tmp_path: Path) -> None:
    base, sam = write_base(tmp_path / "base", "qwen3_vl"), write_sam(tmp_path / "sam.pth")
    model, _ = assemble(base, sam, choose_placement("cpu", "bfloat16", "float32"))
    assert {p.dtype for p in model.backbone.parameters()} == {torch.bfloat16}
    assert model.segmenter_dtype == torch.float32
    model.save_pretrained(tmp_path / "saved")
    assert LisaModel.from_pretrained(tmp_path / "saved").backbone.dtype == torch.bfloat16


def test_which_folders_are_base_models(tmp_path: Path) -> None:
    assert is_base_model(write_base(tmp_path / "base", "qwen3_vl"))
    tiny_model().save_pretrained(tmp_path / "lisa")
    assert not is_base_model(tmp_path / "lisa")
    (tmp_path / "released").mkdir()
    stored = {"model_type": "llava", "architectures": ["LISAForCausalLM"]}
    (tmp_path / "released" / "config.json").write_text(json.dumps(stored))
    assert not is_base_model(tmp_path / "released")
    assert not is_base_model(tmp_path)


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, Path]:
    return write_base(tmp_path / "base", "qwen2_5_vl"), write_sam(tmp_path / "sam.pth")


def test_sam_may_lie_in_a_folder(parts, tmp_path: Path) -> None:
    base, sam = parts
    (tmp_path / "sams").mkdir()
    with pytest.raises(CheckpointError, match="holds 0 weight files"):
        assemble(base, tmp_path / "sams", CPU)
    save_file(torch.load(sam, weights_only=True), tmp_path / "sams" / "sam.safetensors")
    model, _ = assemble(base, tmp_path / "sams", CPU)
    assert model.segmenter.config.embed_dim == 16
    write_sam(tmp_path / "sams" / "another.pth")
    with pytest.raises(CheckpointError, match="holds 2 weight files .* name the SAM file itself"):
        assemble(base, tmp_path / "sams", CPU)


def test_every_weight_of_sam_is_accounted_for(parts) -> None:
    base, sam = parts
    weights = torch.load(sam, weights_only=True)
    del weights["mask_decoder.iou_token.weight"]
    weights["stray"] = torch.zeros(1)
    weights["prompt_encoder.no_mask_embed.weight"] = torch.zeros(1, 3)
    torch.save(weights, sam)
    with pytest.raises(CheckpointError) as caught:
        assemble(base, sam, CPU)
    message = str(caught.value)
    assert "missing: mask_decoder.iou_token.weight" in message
    assert "unexpected: stray" in message
    assert "no_mask_embed.weight (1, 3) instead of (1, 16)" in message


def test_what_is_no_sam(parts, tmp_path: Path) -> None:
    base, sam = parts
    with pytest.raises(CheckpointError, match="There is no .*nothing.pth: give a SAM"):
        assemble(base, tmp_path / "nothing.pth", CPU)
    torch.save({"a": torch.zeros(1)}, sam)
    with pytest.raises(CheckpointError, match="SAM weights lack 'image_encoder.pos_embed'"):
        assemble(base, sam, CPU)
    sam.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="is damaged, incomplete or no weight file"):
        assemble(base, sam, CPU)


def test_an_incomplete_base_model(parts) -> None:
    base, sam = parts
    weights = load_file(base / "model.safetensors")
    name = next(n for n in weights if n.endswith("layers.0.self_attn.q_proj.weight"))
    save_file({n: w for n, w in weights.items() if n != name}, base / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing: .*layers.0.self_attn.q_proj.weight"):
        assemble(base, sam, CPU)
    (base / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="are missing or damaged"):
        assemble(base, sam, CPU)


@pytest.mark.parametrize("content", [None, "{"])
def test_an_image_processor_that_cannot_be_read(parts, content: str | None) -> None:
    base, sam = parts
    (base / "preprocessor_config.json").unlink()
    if content is not None:
        (base / "preprocessor_config.json").write_text(content)
    with pytest.raises(CheckpointError, match="holds no image processor that can be read"):
        assemble(base, sam, CPU)


def test_older_folders_keep_the_template_elsewhere(parts) -> None:
    base, sam = parts
    template = (base / "chat_template.jinja").read_text()
    (base / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="brings no chat template: choose one of chatml"):
        assemble(base, sam, CPU)
    (base / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    _, processor = assemble(base, sam, CPU)
    assert processor.settings.template == "chat"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<|im_end|>\n{% endfor %}", "\n{% endfor %}", "writes no end token behind an answer"),
        ("{% for message in messages %}", "{{ messages | length }}{% for message in messages %}",
         "writes earlier turns differently"),
        ("<|image_pad|>", "picture", 'template "chat" writes no picture'),
        ("{{ message.role }}", "{{ raise_exception('no') }}", "cannot write this conversation"),
    ],
)  # fmt: skip
def test_templates_that_cannot_serve(parts, old: str, new: str, message: str) -> None:
    base, sam = parts
    path = base / "chat_template.jinja"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        assemble(base, sam, CPU)


def test_a_full_size_model() -> None:
    """Qwen2.5-VL 3B with SAM ViT-H, without memory: sizes are facts of the published files."""
    text = {
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "max_position_embeddings": 128000,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]
        },
    }  # fmt: skip
    vision = {"hidden_size": 1280, "out_hidden_size": 2048}
    config = LisaConfig(
        backbone_config=Qwen2_5_VLConfig(
            text_config=text, vision_config=vision, tie_word_embeddings=True
        ),
        segmenter_config=PRESETS["sam_vit_h"].to_dict(),
        image_token_id=151655,
        seg_token_id=151665,
    )
    with torch.device("meta"):
        model = LisaModel(config)
    counts = {
        name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()
    }
    assert counts["backbone"] == 3_754_622_976
    assert counts["segmenter"] == 641_090_608
    assert counts["mask_projection"] == 2048 * 2049 + 256 * 2049
