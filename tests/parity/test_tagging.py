"""Tagging against the original code: networks, strings, captions, losses and preprocessing."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lisa.released.shards import Checkpoint
from lisa.tagging import (
    BeamSearch,
    Captioner,
    Tagger,
    TagInfo,
    asymmetric_loss,
    find_files,
    join_names,
    load_model,
)
from lisa.tagging.caption_words import CaptionWords
from lisa.tagging.checkpoint import TaggingFiles
from lisa.tagging.labels import Labels
from lisa.tagging.losses import alignment_loss, balanced_sum, caption_loss, distillation_loss
from lisa.tagging.models import OpenVocabularyModel, TaggingModel
from lisa.tagging.preprocessing import TaggingTransform
from lisa.tagging.relative_positions import resize_table
from lisa.tagging.tags import left_out_of_captions, read_tags
from tests.parity.golden import Case, each_case, root

pytestmark = pytest.mark.parity


@cache
def model_of(folder: Path) -> TaggingModel:
    files = find_files(folder / "weights.pth")
    has_text = any(name.startswith("text_decoder.") for name in files.weights.tensors)
    return load_model(files, with_text=has_text)


def infos(names: list[str], thresholds: list[float]) -> list[TagInfo]:
    return [TagInfo(*pair) for pair in zip(names, thresholds, strict=True)]


def strings(case: Case) -> dict:
    return json.loads((case.path / "strings.json").read_text(encoding="utf-8"))


def found(tagger: Tagger, pixels: Tensor) -> list[str]:
    """The tags of each picture in one line, from pixels that are normalised already."""
    with torch.inference_mode():
        rows = tagger.probabilities_of_tokens(tagger.model.encode(pixels))
    return [join_names(tagger.found(row)) for row in rows]


def recorded(model: TaggingModel, pixels: Tensor, labels: Labels) -> dict[str, Tensor]:
    """Every stage that the vectors know, by their names, while tags are asked for."""
    seen: dict[str, Tensor] = {}
    watched = {"patch_embed": model.visual_encoder.patch_embed}
    watched |= {f"swin_stage{i}": stage for i, stage in enumerate(model.visual_encoder.layers)}
    watched |= {f"tagging_layer{i}": layer for i, layer in enumerate(model.tagging_head.layers)}
    watched["visual_tokens"] = model.visual_encoder
    if isinstance(model, OpenVocabularyModel):
        watched |= {"image_proj": model.image_proj, "wordvec_proj": model.wordvec_proj}

    def keep(name: str):
        return lambda module, inputs, output: seen.update({name: output})

    hooks = [module.register_forward_hook(keep(name)) for name, module in watched.items()]
    with torch.no_grad():
        seen["logits"] = model.tag_logits(model.encode(pixels), labels)
    seen["probabilities"] = seen["logits"].sigmoid()
    for hook in hooks:
        hook.remove()
    return seen


@each_case("tagging_ram")
def test_recognize_anything(case: Case):
    check_open_vocabulary(case)


@each_case("tagging_ram_plus")
def test_recognize_anything_plus(case: Case):
    check_open_vocabulary(case)


def check_open_vocabulary(case: Case) -> None:
    model = model_of(case.path)
    assert isinstance(model, OpenVocabularyModel)
    inputs, expected = case.tensors("inputs.safetensors"), case.tensors("outputs.safetensors")
    own = model.own_labels()
    seen = recorded(model, inputs["image"], own)
    if not model.weighs_texts:  # the same for every picture, so the vectors hold it once
        assert torch.equal(seen["wordvec_proj"][0], seen["wordvec_proj"][-1])
        seen["wordvec_proj"] = seen["wordvec_proj"][0]
    places = inputs["subset_indices"].tolist()
    seen["subset.logits"] = recorded(model, inputs["image"], own.select(places))["logits"]
    rows = inputs["openset.label_embed"].unflatten(0, (-1, model.config.texts_per_tag))
    others = recorded(model, inputs["image"], Labels((rows,)))
    seen |= {f"openset.{name}": others[name] for name in ("logits", "probabilities")}
    if model.weighs_texts:
        tokens = seen["image_proj"]
        seen["reweight_softmax"] = model.weigh_texts(tokens, own.blocks[0])
        seen["label_embed_reweighted"] = model.embed_labels(tokens, own)
        seen["openset.label_embed_reweighted"] = model.embed_labels(tokens, Labels((rows,)))
    compared = [name for name in expected if not name.startswith("train.")]
    for name in compared:
        case.assert_close(name, seen[name], expected[name])


@each_case("tagging_ram")
def test_strings(case: Case):
    check_strings(case)


@each_case("tagging_ram_plus")
def test_strings_plus(case: Case):
    check_strings(case)


def check_strings(case: Case) -> None:
    inputs, text = case.tensors("inputs.safetensors"), strings(case)
    model = model_of(case.path)
    tags = [
        TagInfo(name, threshold, chinese=chinese)
        for name, threshold, chinese in zip(
            text["tag_list"], text["class_threshold"], text["tag_list_chinese"], strict=True
        )
    ]
    tagger = Tagger(model, tags)
    assert found(tagger, inputs["image"]) == text["strings"]["generate_tag"]
    rows = tagger.probabilities_of_tokens(model.encode(inputs["image"]))
    chinese = [" | ".join(tag.chinese or "" for tag in tagger.found(row)) for row in rows]
    assert chinese == text["strings"]["generate_tag_chinese"]
    count, names = text["openset_threshold"], text["openset_tag_list"]
    labels = inputs["openset.label_embed"].unflatten(0, (-1, model.config.texts_per_tag))
    open_tagger = Tagger(model, infos(names, [count] * len(names)), Labels((labels,)))
    assert found(open_tagger, inputs["image"]) == text["strings"]["generate_tag_openset"]


@each_case("tagging_tag2text")
def test_tag2text(case: Case):
    model = model_of(case.path)
    inputs, expected = case.tensors("inputs.safetensors"), case.tensors("outputs.safetensors")
    together = recorded(model, inputs["image"], model.own_labels())
    first = recorded(model, inputs["image"][:1], model.own_labels())
    seen = {name: together[name] for name in ("logits", "probabilities")}
    seen |= {f"image0.{name}": value for name, value in first.items()}
    compared = [name for name in expected if not name.startswith(("train.", "caption."))]
    for name in compared:
        case.assert_close(name, seen[name], expected[name])


def captioner_of(case: Case) -> Captioner:
    text = strings(case)
    tagger = Tagger(model_of(case.path), infos(text["tag_list"], text["class_threshold"]))
    words = CaptionWords.find(None, case.path, offline=True)
    return Captioner(tagger, words, left_out=text["delete_tag_index"])


@each_case("tagging_tag2text")
def test_ids_of_texts(case: Case):
    captioner, text = captioner_of(case), strings(case)["tokenizer"]
    words = captioner.words
    assert (words.caption_start, words.tags_start) == (text["bos_id"], text["enc_id"])
    assert (words.end, words.padding) == (text["sep_id"], text["pad_id"])
    for sentence, ids in text["encodings"].items():
        tags, mask = words.encode_tags([[sentence]])
        assert tags[0, 1 : mask.sum()].tolist() == ids[1:], sentence


@each_case("tagging_tag2text")
def test_tags_for_captions(case: Case):
    captioner, text = captioner_of(case), strings(case)
    tokens = captioner.tagger.model.encode(case.tensors("inputs.safetensors")["image"])
    predicted = [" | ".join(names) for names in captioner.find_tags(tokens)]
    assert predicted == [
        text["results"][f"image{i}"]["predicted_tags"] for i in range(len(predicted))
    ]


def search_of(setting: str) -> BeamSearch:
    """min10_max30 and the like, at the end of a setting's name; what is not named is published."""
    numbers = {word[:3]: int(word[3:]) for word in setting.split("_") if word[:3] in ("min", "max")}
    return BeamSearch(min_length=numbers.get("min", 10), max_length=numbers["max"])


@each_case("tagging_tag2text")
def test_captions(case: Case):
    """All pictures in one batch, each as the original captions it alone.

    (With some versions of transformers the original captions a whole batch from its first picture;
    its manifest names this.) Which of two captions wins depends on how a version of transformers
    counts their length: either of the two that were recorded passes.
    """
    captioner, text = captioner_of(case), strings(case)
    inputs, expected = case.tensors("inputs.safetensors"), case.tensors("outputs.safetensors")
    older = json.loads(
        (case.path / case.manifest["second_run"]["file"]).read_text(encoding="utf-8")
    )["results"]
    tags = [names.split(" | ") for names in text["fixed_tags"]]
    states = captioner.read_tags(captioner.tagger.model.encode(inputs["image"]), tags)
    for number in range(len(tags)):
        name = f"caption.image{number}.tag_encoder_states"
        case.assert_close(name, states[number : number + 1], expected[name])
    settings = [key for key in text["results"]["image0"] if "max" in key]
    for setting in settings:
        rows = captioner.write_ids(states, search_of(setting))
        for number, row in enumerate(rows):
            right = [
                text["results"][f"image{number}"][setting]["sequence"],
                older[f"image{number}.{setting}"]["sequence"],
            ]
            wrote = without_padding(row, captioner)
            assert wrote in right, f"{case.path.name}: image{number}.{setting}"
            pairs = (text["results"][f"image{number}"], older)
            captions = [pairs[0][setting]["caption"], older[f"image{number}.{setting}"]["caption"]]
            assert captioner.words.decode(row) == captions[right.index(wrote)]


def without_padding(row: list[int], captioner: Captioner) -> list[int]:
    end = captioner.words.end
    return row[: row.index(end) + 1] if end in row else row


@each_case("tagging_tag2text")
def test_ids_that_go_into_the_text_models(case: Case):
    captioner, text = captioner_of(case), strings(case)
    expected = case.tensors("outputs.safetensors")
    for number, names in enumerate(text["fixed_tags"]):
        ids, mask = captioner.words.encode_tags([names.split(" | ")])
        assert torch.equal(ids, expected[f"caption.image{number}.tag_input_ids"])
        assert torch.equal(mask, expected[f"caption.image{number}.tag_attention_mask"])
        prompt = expected[f"caption.image{number}.prompt_ids"]
        assert [captioner.words.prompt()] == prompt.tolist()


@each_case("tagging_tag2text")
def test_teacher_forced_words(case: Case):
    captioner = captioner_of(case)
    expected = case.tensors("outputs.safetensors")
    for number in range(len(strings(case)["fixed_tags"])):
        name = f"caption.image{number}"
        ids = expected[f"{name}.default_min10_max30.sequence"][None]
        with torch.no_grad():
            logits = captioner.tagger.model.text_decoder(
                input_ids=ids, encoder_hidden_states=expected[f"{name}.tag_encoder_states"]
            ).logits
        key = f"{name}.teacher_forced_logits"
        case.assert_close(key, logits, expected[key])


@each_case("tagging_ram")
def test_losses(case: Case):
    check_losses(case)


@each_case("tagging_ram_plus")
def test_losses_plus(case: Case):
    check_losses(case)


@each_case("tagging_tag2text")
def test_losses_tag2text(case: Case):
    check_losses(case)


def check_losses(case: Case) -> None:
    """Every part of the training loss that the vectors know, and gradients of their sum."""
    inputs, expected = case.tensors("inputs.safetensors"), case.tensors("outputs.safetensors")
    model = model_of(case.path)
    model.zero_grad()
    tokens = model.encode(inputs["image"])
    present = inputs.get("train.image_tag", inputs.get("train.tag"))
    assert present is not None
    tags = asymmetric_loss(model.tag_logits(tokens, model.own_labels()), present)
    losses, total = {"loss_tag": tags}, tags
    if model.config.text is not None:
        caption = losses["loss_t2t"] = caption_loss_of(case, model, tokens, inputs)
        total = balanced_sum(caption, tags)
    if "train.clip_feature" in inputs:
        losses["loss_dis"] = distillation_loss(tokens, inputs["train.clip_feature"])
        total = total + losses["loss_dis"]
    if "train.batch_text_embed" in inputs:
        texts = inputs["train.batch_text_embed"]
        losses["loss_alignment"] = alignment_loss(model, tokens, texts)
        total = total + losses["loss_alignment"]
    losses |= dict.fromkeys(("loss_total_sum", "loss_total_pretrain"), total)
    total.backward()
    squares = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
    losses["grad_norm_total"] = torch.stack(squares).sum().sqrt()
    for name in expected:
        if not name.startswith("train."):
            continue
        key = name.removeprefix("train.")
        if key not in losses:
            gradient = model.get_parameter(key.removeprefix("grad_norm.")).grad
            assert gradient is not None
            losses[key] = gradient.norm()
        # Norms add up squares of float32 numbers: their last digit is worth more than 1e-4.
        rounding = 1e-6 * expected[name].item() if "norm" in key else 0.0
        case.assert_close(name, losses[key], expected[name], rounding)


def caption_loss_of(
    case: Case, model: TaggingModel, tokens: Tensor, inputs: dict[str, Tensor]
) -> Tensor:
    text = strings(case)
    words = CaptionWords.find(None, case.path, offline=True)
    present = inputs.get("train.parse_tag", inputs.get("train.tag"))
    assert present is not None
    names = [[text["tag_list"][place] for place in row.nonzero()[:, 0]] for row in present]
    captions = text.get("training_captions") or text["strings"]["captions_for_training_loss"]
    plain = [caption.removeprefix("a picture of ") for caption in captions]
    return caption_loss(model, tokens, *words.encode_tags(names), words.encode_captions(plain))


@each_case("asymmetric_loss")
def test_asymmetric_loss(case: Case):
    inputs, expected = case.tensors("inputs.safetensors"), case.tensors("outputs.safetensors")
    settings = sorted({name.rpartition(".")[0] for name in expected})
    assert settings
    for setting in settings:
        negative, positive, clip, *more = setting.split("_")
        for dtype, ending in ((torch.float32, ""), (torch.float64, "_float64")):
            logits = inputs["logits"].to(dtype).requires_grad_()
            loss = asymmetric_loss(
                logits,
                inputs["targets"],
                gamma_negative=float(negative.removeprefix("g")),
                gamma_positive=float(positive),
                clip=float(f"0.{clip.removeprefix('clip')[1:] or 0}"),
                gradient_through_weights=more == ["focal", "grad"],
            )
            (gradient,) = torch.autograd.grad(loss, logits)
            ours = {"loss": loss, "grad": gradient, "grad_norm": gradient.norm()}
            for name, value in ours.items():
                key = f"{setting}.{name}{ending}"
                if key in expected:
                    case.assert_close(key, value, expected[key])


LISTS = root() / "data"


@pytest.mark.skipif(not LISTS.is_dir(), reason=f"no lists under {LISTS}")
def test_the_published_lists():
    """Names, thresholds and groups of the released weights, read as they are published."""
    files = TaggingFiles(LISTS, Checkpoint(LISTS, ("weights.pth",), {}), None)
    tags = read_tags(files, "recognize-anything-plus", 4585)
    assert len({tag.name for tag in tags}) == 4585
    assert len({tag.threshold for tag in tags}) == 44
    assert all(tag.chinese and tag.chinese == tag.chinese.strip() for tag in tags)
    never = {tag.name for tag in tags if tag.threshold == 1}
    assert {"body", "cocktail table", "French", "stop", "use"} <= never
    assert len(never) == 10
    older = read_tags(files, "tag2text", 3429)
    assert {older[place].name for place in left_out_of_captions(3429)} == {
        *("quarter", "back", "two", "three", "four", "five", "one"),
    }
    own = {tag.name: tag.threshold for tag in older if tag.threshold != 0.68}
    assert own == {"person": 0.7, "man": 0.7, "woman": 0.7}


@each_case("tagging_preprocess")
def test_preprocessing(case: Case):
    transform = TaggingTransform(case.manifest["size"])
    expected = case.tensors("outputs.safetensors")
    for name, pixels in case.tensors("inputs.safetensors").items():
        picture = Image.fromarray(np.asarray(pixels))
        case.assert_close(name, transform(picture), expected[name])


@each_case("swin_window_change")
def test_window_change(case: Case):
    expected = case.tensors("outputs.safetensors")
    for name, table in case.tensors("inputs.safetensors").items():
        window = int(name.rpartition("_w")[2])
        case.assert_close(name, resize_table(table, window), expected[name])
