from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lisa.errors import CheckpointError, ConfigError, DataError
from lisa.relations import RelationConfig, RelationModel, RelationPredictor, rank
from tests.unit.relations.tiny_relations import CONFIG, PREDICATES, squares, tiny_predictor

PREDICTOR = tiny_predictor()


def features(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, CONFIG.feature_size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def predictor() -> RelationPredictor:
    return PREDICTOR


def triplets(predictor: RelationPredictor, given: torch.Tensor, **options) -> dict:
    graph = predictor(squares(len(given)), given, top=10_000, **options)
    return {(r.subject, r.predicate, r.object): r.score for r in graph.relations}


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(6)), st.integers(0, 1000))
def test_a_permutation_of_the_masks_permutes_the_relations(order: list[int], seed: int):
    predictor, given_features = PREDICTOR, features(6, seed)
    straight = triplets(predictor, given_features)
    permuted = triplets(predictor, given_features[order])
    back = {(order[s], p, order[o]): score for (s, p, o), score in permuted.items()}
    assert back.keys() == straight.keys()
    assert back == pytest.approx(straight, abs=1e-5)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, 7), max_size=5), st.integers(0, 1000))
def test_a_batch_equals_its_pictures_one_by_one(counts: list[int], seed: int):
    predictor = PREDICTOR
    pictures = [features(count, seed + place) for place, count in enumerate(counts)]
    together = predictor.logits(pictures)
    assert len(together) == len(pictures)
    for one, batched in zip(pictures, together, strict=True):
        torch.testing.assert_close(batched, predictor.logits([one])[0], atol=1e-5, rtol=1e-5)


def test_the_same_masks_get_the_same_answer(predictor: RelationPredictor):
    # Relate-Anything's demo leaves dropout on.
    torch.manual_seed(1)
    first = predictor.logits([features(5)])[0]
    torch.manual_seed(2)
    assert torch.equal(first, predictor.logits([features(5)])[0])
    assert not predictor.model.training
    assert not first.requires_grad


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_masks_have_no_relations(predictor: RelationPredictor, count: int):
    graph = predictor(squares(count), features(count))
    assert graph.relations == ()
    assert len(graph.segments) == count


def test_all_relations_are_ranked_and_none_is_with_itself(predictor: RelationPredictor):
    relations = predictor(squares(4), features(4), top=10_000).relations
    assert len(set(relations)) == len(PREDICATES) * 4 * 3
    assert all(one.subject != one.object for one in relations)
    scores = [one.score for one in relations]
    assert scores == sorted(scores, reverse=True)
    assert predictor(squares(4), features(4), top=3).relations == relations[:3]
    assert predictor(squares(4), features(4), top=0).relations == ()


def test_one_predicate_for_each_pair(predictor: RelationPredictor):
    every = triplets(predictor, features(4))
    surest = triplets(predictor, features(4), one_per_pair=True)
    assert len(surest) == 4 * 3
    for (subject, predicate, thing), score in surest.items():
        assert score == max(every[subject, p, thing] for p in PREDICATES)
        assert every[subject, predicate, thing] == score


def test_one_mask_against_the_rest(predictor: RelationPredictor):
    chosen = triplets(predictor, features(5), subject=2)
    assert {(subject, thing) for subject, _, thing in chosen} == {(2, o) for o in (0, 1, 3, 4)}
    pairs = triplets(predictor, features(5), one_per_pair=True)
    assert chosen == {key: score for key, score in pairs.items() if key[0] == 2}


def test_saturated_probabilities_are_still_in_order():
    logits = torch.zeros(1, 3, 3)
    logits[0, 0, 1], logits[0, 1, 2], logits[0, 2, 0] = 100.0, 300.0, 200.0
    found = rank(logits, ["on"], 3)
    assert [(one.subject, one.object) for one in found] == [(1, 2), (2, 0), (0, 1)]
    assert {one.score for one in found} == {1.0}


def test_names_and_segments_stay_with_the_graph(predictor: RelationPredictor):
    segments = squares(2)
    graph = predictor(segments, features(2), names=["cup", None], top=1)
    assert graph.segments == tuple(segments)
    (only,) = graph.relations
    words = {0: "0 cup", 1: "1"}
    assert graph.sentence(only) == f"{words[only.subject]} {only.predicate} {words[only.object]}"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda p: p(squares(2), features(3)), DataError, "2 segments, 3 features"),
        (lambda p: p(squares(2), features(2), names=["a"]), DataError, "and 1 names"),
        (lambda p: p(squares(2), features(2), subject=2), ConfigError, "Segment 2 was chosen"),
        (lambda p: p(squares(2), features(2), top=-1), ConfigError, "-1 relations"),
        (lambda p: p(squares(2), torch.zeros(2, 5)), DataError, "masks, 16"),
        (lambda p: p.logits([torch.zeros(5)]), DataError, "masks, width"),
    ],
)
def test_mistakes_get_a_sentence(predictor: RelationPredictor, call, error, words: str):
    with pytest.raises(error, match=words):
        call(predictor)


def test_saved_and_loaded(predictor: RelationPredictor, tmp_path: Path):
    predictor.save_pretrained(tmp_path / "new" / "folder")
    loaded = RelationPredictor.from_pretrained(tmp_path / "new" / "folder", device="cpu")
    assert loaded.model.config == CONFIG
    assert torch.equal(loaded.logits([features(4)])[0], predictor.logits([features(4)])[0])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_other_number_types(predictor: RelationPredictor, tmp_path: Path, dtype: str):
    predictor.save_pretrained(tmp_path)
    loaded = RelationPredictor.from_pretrained(tmp_path, device="cpu", dtype=dtype)
    found, exact = (p.logits([features(4)])[0] for p in (loaded, predictor))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, atol=0.2, rtol=0.1)


def test_released_files_of_other_sizes(tmp_path: Path):
    config = replace(CONFIG, hidden_size=64, num_heads=1)
    model = RelationModel(config)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    for source in (tmp_path, tmp_path / "weights.pth"):
        loaded = RelationPredictor.from_pretrained(source, device="cpu", predicates=PREDICATES)
        assert loaded.model.config == config


def test_files_that_are_no_relation_weights(tmp_path: Path):
    def load(name: str, **options) -> None:
        RelationPredictor.from_pretrained(tmp_path / name, device="cpu", **options)

    with pytest.raises(CheckpointError, match=r"There is no .*ram_epoch12.pth"):
        load("ram_epoch12.pth")
    (tmp_path / "damaged.pth").write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(CheckpointError, match="damaged"):
        load("damaged.pth")
    torch.save({"x": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"lack the matrix 'fc_input.0.weight'"):
        load("other.pth")
    weights = RelationModel(CONFIG).state_dict()
    torch.save(weights, tmp_path / "predicates.pth")
    with pytest.raises(CheckpointError, match="56 predicates do not divide"):
        load("predicates.pth")
    del weights["fc_output.1.bias"]
    weights["extra"] = torch.zeros(1)
    torch.save(weights, tmp_path / "lacks.pth")
    with pytest.raises(CheckpointError, match=r"missing: fc_output.1.bias; unexpected: extra"):
        load("lacks.pth", predicates=PREDICATES, num_heads=2)
    with pytest.raises(CheckpointError, match="4 weight files"):
        load(".")


def test_a_damaged_configuration(predictor: RelationPredictor, tmp_path: Path):
    predictor.save_pretrained(tmp_path)
    path = tmp_path / "relations.json"
    for text, words in (
        ("{", "cannot be read"),
        ("[]", "holds no settings"),
        (json.dumps({"sizes": 3}), "unknown keys sizes"),
        (json.dumps({"predicates": [1]}), "predicates are no names"),
    ):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=words):
            RelationPredictor.from_pretrained(tmp_path, device="cpu")


def test_full_size_layout():
    with torch.device("meta"):
        model = RelationModel(RelationConfig())
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    linear = {"weight", "bias"}
    expected = {
        f"{block}.{place}.{kind}"
        for block in ("fc_input", "fc_output")
        for place in (0, 1)
        for kind in linear
    }
    tables = ("word", "position", "token_type")
    expected |= {f"model.embeddings.{table}_embeddings.weight" for table in tables}
    expected |= {f"model.embeddings.LayerNorm.{kind}" for kind in linear}
    parts = (
        *(f"attention.self.{part}" for part in ("query", "key", "value")),
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    )
    expected |= {
        f"model.encoder.layer.{layer}.{part}.{kind}"
        for layer in (0, 1)
        for part in parts
        for kind in linear
    }
    last = ("model.pooler.dense", "cls_sub", "cls_obj")
    expected |= {f"{part}.{kind}" for part in last for kind in linear}
    assert shapes.keys() == expected
    assert len(expected) == 51
    assert shapes["cls_sub.weight"] == (28672, 768)
    assert shapes["model.embeddings.word_embeddings.weight"] == (30522, 768)
    assert shapes["model.embeddings.position_embeddings.weight"] == (512, 768)
    count = sum(value.numel() for value in model.parameters())
    assert round(count / 1e6, 2) == 83.49


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_heads": 5}, "5 heads do not divide a width of 24"),
        ({"class_size": 0}, "class_size is 0"),
        ({"predicates": ("on", "on")}, "different names"),
        ({"num_positions": 1}, "row 1"),
    ],
)
def test_impossible_configurations(changes: dict, words: str):
    with pytest.raises(ConfigError, match=words):
        replace(CONFIG, **changes)
