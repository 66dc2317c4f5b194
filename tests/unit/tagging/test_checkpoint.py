from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from lisa.errors import CheckpointError, ConfigError
from lisa.released.empty_model import parameters_on_meta
from lisa.tagging import build_model, checkpoint, find_files, load_model
from lisa.tagging.config import Kind, TaggingConfig
from lisa.tagging.released import FULL_SIZES, config_from_shapes, released_tensors
from tests.tiny_tagging import released_state, tiny_config, tiny_model, write_released

KINDS: list[Kind] = ["recognize-anything", "recognize-anything-plus", "tag2text"]
KEYS = {
    "ram_swin_large_14m.pth": (1042, 469_148_785),
    "ram_plus_swin_large_14m.pth": (402, 329_493_046),
    "tag2text_swin_14m.pth": (1038, 372_007_193),
}


@pytest.mark.parametrize("file", FULL_SIZES)
def test_full_size_layouts_key_by_key(file: str):
    """Numbers of keys and weights as counted in the originals; nothing of them takes memory."""
    config = FULL_SIZES[file]
    with parameters_on_meta():
        model = build_model(config)
    tensors = released_tensors(model)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert (len(tensors), count) == KEYS[file]
    assert config_from_shapes(tensors, with_text=config.text is not None) == config
    table = tensors["visual_encoder.layers.2.blocks.17.attn.relative_position_bias_table"]
    heads = config.encoder.heads[2]
    assert table.shape == (529, heads)
    assert tensors["visual_encoder.layers.2.blocks.17.attn_mask"].shape == (4, 144, 144)
    assert "visual_encoder.layers.3.blocks.1.attn_mask" not in tensors


@pytest.mark.parametrize(
    ("kind", "with_text"),
    [*((kind, False) for kind in KINDS), ("recognize-anything", True), ("tag2text", True)],
)
def test_a_released_file(kind: Kind, with_text: bool, tmp_path: Path):
    model = tiny_model(kind)
    files = find_files(write_released(model, tmp_path / "weights.pth"))
    loaded = load_model(files, with_text=with_text)
    weights = model.state_dict()
    if with_text:
        assert loaded.config == model.config
        assert set(loaded.state_dict()) == set(weights)
        word = loaded.get_parameter("text_decoder.bert.embeddings.word_embeddings.weight")
        assert loaded.get_parameter("text_decoder.cls.predictions.decoder.weight") is word
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, weights[name]), name
    assert not loaded.training
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours = loaded.tag_logits(loaded.encode(pixels), loaded.own_labels())
        theirs = model.tag_logits(model.encode(pixels), model.own_labels())
    # Where weights lie in memory decides in which order sums are taken.
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert theirs.std(dim=0).min() > 1e-3  # the comparison says something


def test_number_type(tmp_path: Path):
    path = write_released(tiny_model("recognize-anything"), tmp_path / "weights.pth")
    model = load_model(find_files(path), dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    with torch.inference_mode():
        tokens = model.encode(torch.randn(1, 3, 64, 64, dtype=torch.bfloat16))
        assert model.tag_logits(tokens, model.own_labels()).dtype == torch.bfloat16


def test_the_older_name_of_the_query_decoder(tmp_path: Path):
    model = tiny_model("recognize-anything-plus")
    state = {
        name.replace("tagging_head", "vision_multi"): weight
        for name, weight in released_state(model).items()
    }
    torch.save({"model": state}, tmp_path / "old.pth")
    loaded = load_model(find_files(tmp_path / "old.pth"))
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name])


def test_weights_without_a_wrapper(tmp_path: Path):
    torch.save(tiny_model("recognize-anything-plus").state_dict(), tmp_path / "plain.pth")
    assert load_model(find_files(tmp_path)).config.encoder.image_size == 64


def test_another_picture_size(tmp_path: Path):
    model = tiny_model("recognize-anything-plus")
    path = write_released(model, tmp_path / "weights.pth")
    larger = load_model(find_files(path), image_size=96)
    assert (larger.config.encoder.image_size, larger.config.encoder.window) == (96, 3)
    name = "visual_encoder.layers.0.blocks.0.attn.relative_position_bias_table"
    assert larger.get_parameter(name).shape == (25, 1)
    with torch.no_grad():
        assert larger.encode(torch.randn(1, 3, 96, 96)).shape == (1, 10, 12)
    with pytest.raises(ConfigError, match="image_size 100 is no multiple of 32"):
        load_model(find_files(path), image_size=100)


def broken(change: str, state: dict[str, torch.Tensor]) -> None:
    if change == "missing":
        del state["visual_encoder.norm.weight"]
    elif change == "unexpected":
        state["mystery.weight"] = torch.zeros(2)
    elif change == "of another shape":
        state["fc.weight"] = torch.zeros(1, 7)
    elif change == "no square":
        name = "visual_encoder.layers.1.blocks.0.attn.relative_position_bias_table"
        state[name] = torch.zeros(8, 2)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("missing", "missing: visual_encoder.norm.weight"),
        ("unexpected", "unexpected: mystery.weight"),
        ("of another shape", r"of another shape: fc.weight \(1, 7\) instead of \(1, 24\)"),
        ("no square", r"bias_table \(8, 2\) instead of \(9, 2\)"),
    ],
)
def test_weights_that_do_not_fit(change: str, sentence: str, tmp_path: Path):
    state = released_state(tiny_model("recognize-anything"))
    broken(change, state)
    torch.save({"model": state}, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=sentence):
        load_model(find_files(tmp_path / "weights.pth"))


class _Bomb:
    """Would make a folder if a file that holds it were unpickled without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.mkdir, (self.path,)


def test_a_file_that_would_run_code(tmp_path: Path):
    target = tmp_path / "made"
    torch.save({"model": {"x": torch.zeros(1)}, "config": _Bomb(target)}, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match="damaged, incomplete or no weight file"):
        find_files(tmp_path / "bad.pth")
    (tmp_path / "worse.pth").write_bytes(pickle.dumps(_Bomb(target), protocol=2))
    with pytest.raises(CheckpointError, match="damaged, incomplete or no weight file"):
        find_files(tmp_path / "worse.pth")
    assert not target.exists()


def test_what_is_no_tagging_checkpoint(tmp_path: Path):
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="lacks the weight tagging_head"):
        load_model(find_files(tmp_path / "other.pth"))
    with pytest.raises(CheckpointError, match="There is no file"):
        find_files(tmp_path / "absent.pth")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="there are: none"):
        find_files(tmp_path / "empty")
    (tmp_path / "second.pth").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"there are: other.pth, second.pth; name the file"):
        find_files(tmp_path)


def test_no_captions_without_text_models(tmp_path: Path):
    path = write_released(tiny_model("recognize-anything-plus"), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="holds no text models"):
        load_model(find_files(path), with_text=True)


def test_a_file_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A hub id alone fetches the released names; with a file's name, that file and lists."""
    write_released(tiny_model("recognize-anything-plus"), tmp_path / "it_14m.pth")
    asked = []

    def resolve(name: str, revision: str | None, offline: bool, **options: object) -> Path:
        asked.append((name, revision, offline, options))
        return tmp_path

    monkeypatch.setattr(checkpoint, "resolve", resolve)
    assert find_files("owner/name", "v1", True).folder == tmp_path
    assert find_files("owner/name/it_14m.pth").folder == tmp_path
    assert asked == [
        ("owner/name", "v1", True, {"pickled": "*_14m.pth"}),
        (
            *("owner/name", None, False),
            {"wanted": ("*.json", "*.txt", "it_14m.pth"), "pickled": None},
        ),
    ]


def test_heads_beside_the_weights_must_be_a_number(tmp_path: Path):
    path = write_released(tiny_model("recognize-anything-plus"), tmp_path / "weights.pth")
    (tmp_path / "q2l_config.json").write_text('{"num_attention_heads": "four"}')
    with pytest.raises(CheckpointError, match="num_attention_heads is 'four'"):
        load_model(find_files(path))


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_survive_json(kind: Kind):
    config = tiny_config(kind)
    assert TaggingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "other"}, "of the kind 'other': known are recognize-anything,"),
        ({"colour": 1}, "not written as this version reads them"),
        ({"encoder": 3}, "not written as this version reads them"),
        ({"encoder": {"kind": "eye"}}, "has the encoder 'eye': known are swin, trunk"),
    ],
)
def test_sizes_that_cannot_be(change: dict[str, object], sentence: str):
    values = {**tiny_config("tag2text").to_dict(), **change}
    with pytest.raises(CheckpointError, match=sentence):
        TaggingConfig.from_dict(values)
