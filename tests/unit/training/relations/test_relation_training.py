"""Noise, batches and the teacher of relation training, each alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

import training.relations
from lisa.data.readers.psg import Psg
from lisa.errors import ConfigError, DataError
from lisa.relations import RelationModel
from lisa.relations.losses import label_of
from tests.data_sets import psg as data
from tests.unit.relations.tiny_relations import CONFIG, tiny_classed_model
from training.relations.examples import RelationExamples, padded
from training.relations.noise import noised, noised_classes
from training.relations.recipe import (
    NoiseSettings,
    OptimizerSettings,
    PsgSettings,
    RelationRecipe,
    TeacherSettings,
    read_recipe,
)
from training.relations.start import start_from_bert
from training.relations.teacher import Teacher

WIDTH = CONFIG.feature_size


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- Noise ----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(0, 3), st.floats(0, 1))
def test_noise_leaves_something_of_every_mask(seed: int, edge: int, shift: float):
    shares = torch.rand(4, 7, 9, generator=generator(seed)) * (
        torch.rand(4, 7, 9, generator=generator(seed + 1)) < 0.1
    )
    shares[0] = 0
    shares[0, 3, 4] = 0.5
    changed = noised(shares, NoiseSettings(edge=edge, shift=shift), generator(seed))
    assert changed.shape == shares.shape
    assert ((changed >= 0) & (changed <= 1)).all()
    assert (changed.flatten(1).any(dim=1) == shares.flatten(1).any(dim=1)).all()
    again = noised(shares, NoiseSettings(edge=edge, shift=shift), generator(seed))
    assert torch.equal(again, changed)


def test_masks_grow_shrink_and_move():
    square = torch.zeros(1, 20, 20)
    square[0, 6:14, 6:14] = 1
    edges = [noised(square, NoiseSettings(edge=2, shift=0), generator(n)) for n in range(20)]
    assert {int(one.sum()) for one in edges} == {4**2, 6**2, 8**2, 10**2, 12**2}
    moves = [noised(square, NoiseSettings(edge=0, shift=0.25), generator(n)) for n in range(20)]
    assert {int(one.sum()) for one in moves} == {8**2}
    corners = {tuple(one[0].nonzero()[0].tolist()) for one in moves}
    assert len(corners) > 5
    assert all(4 <= y <= 8 and 4 <= x <= 8 for y, x in corners)
    same = noised(square, NoiseSettings(edge=0, shift=0), generator())
    assert torch.equal(same, square)


def test_classes_are_changed_now_and_then():
    classes = torch.zeros(4000, dtype=torch.long)
    changed = noised_classes(classes, 5, 0.5, generator())
    assert float((changed != 0).float().mean()) == pytest.approx(0.4, abs=0.03)
    assert torch.equal(noised_classes(classes, 5, 0.0, generator()), classes)


# --- Batches --------------------------------------------------------------------------------------


def recipe(root: Path, **changes) -> RelationRecipe:
    return RelationRecipe(
        PsgSettings(root / "psg" / "psg.json", root / "coco", "test"),
        "panoptic",
        root / "run",
        noise=NoiseSettings(classes=0),
        optimizer=OptimizerSettings(batch=3),
        **changes,
    )


@pytest.fixture
def examples(tmp_path: Path) -> RelationExamples:
    """Two pictures, with three segments and with two."""
    data.write(tmp_path)
    made = recipe(tmp_path)
    for index, row in enumerate(data.TESTED):
        # Features that say whose they are: picture, copy, segment.
        objects = torch.tensor(
            [[[index, k, n] for n in range(len(row[4]))] for k in range(2)], dtype=torch.float32
        )
        tensors = {"objects": objects, "whole": torch.full((3,), float(index))}
        save_file(tensors, tmp_path / f"{index:06d}.safetensors")
    psg = Psg(made.psg.annotations, made.psg.coco, made.psg.split)
    return RelationExamples(made, psg, tmp_path)


def test_a_batch_holds_what_is_annotated(examples: RelationExamples):
    batch = examples.batch(0)
    assert batch.features.shape == (3, 3, 3)
    for place, index in enumerate(examples.pictures(0)):
        row = data.TESTED[index]
        count = len(row[4])
        assert batch.is_segment[place].tolist() == [True] * count + [False] * (3 - count)
        of_picture, _, old = batch.features[place, :count].T
        assert (of_picture == index).all()
        assert (batch.whole[place] == index).all()
        order = [int(one) for one in old]
        assert sorted(order) == list(range(count))
        assert batch.classes[place, :count].tolist() == [row[4][n][0] for n in order]
        said = {(order[s], order[o], p) for p, s, o in batch.target[place].nonzero().tolist()}
        assert said == {(s, o, p) for s, o, p in row[5]}
    copies = {int(one) for step in range(9) for one in examples.batch(step).features[:, 0, 1]}
    assert copies == {0, 1}


def test_batches_follow_from_seed_and_step(examples: RelationExamples):
    for name in ("features", "classes", "target"):
        first, again = (getattr(examples.batch(5), name) for _ in range(2))
        assert torch.equal(first, again)
    chosen = [index for step in range(4) for index in examples.pictures(step)]
    assert all(sorted(chosen[at : at + 2]) == [0, 1] for at in range(0, 12, 2))


def test_pictures_with_many_segments_are_thinned(tmp_path: Path, examples: RelationExamples):
    examples._recipe = replace(examples._recipe, most_segments=2)
    batch = examples.batch(0)
    assert batch.features.shape[1] == 2
    assert batch.is_segment.all()


def test_relations_of_a_segment_with_itself_are_left_out(tmp_path: Path):
    data.write(tmp_path)
    made = recipe(tmp_path)
    psg = Psg(made.psg.annotations, made.psg.coco, "train")
    assert psg[0].relations[0][:2] == (0, 0)
    tensors = {"objects": torch.zeros(1, 1, 3), "whole": torch.zeros(3)}
    save_file(tensors, tmp_path / "000000.safetensors")
    assert not RelationExamples(made, psg, tmp_path).batch(0).target.any()


def test_features_that_are_damaged(tmp_path: Path, examples: RelationExamples):
    (tmp_path / "000000.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"000000.safetensors' cannot be read .* delete it"):
        examples.batch(0)


# --- The teacher ----------------------------------------------------------------------------------


def test_the_average_follows_the_student():
    student = tiny_classed_model()
    teacher = Teacher(student, TeacherSettings(decay=0.75))
    name = "relations.fc_input.0.weight"
    before = student.get_parameter(name).detach().clone()
    with torch.no_grad():
        student.get_parameter(name).add_(1)
    teacher.follow(student, 0)  # a tenth of the first weights stays
    torch.testing.assert_close(teacher.model.get_parameter(name), before + 0.9)
    teacher.follow(student, 1_000_000)  # 0.75 of the average stays
    torch.testing.assert_close(teacher.model.get_parameter(name), before + 0.925)
    assert not any(one.requires_grad for one in teacher.parameters().values())


def test_the_teachers_labels_come_late_and_change_nothing_that_is_annotated(
    examples: RelationExamples,
):
    student = tiny_classed_model(replace(CONFIG, feature_size=3))
    teacher = Teacher(student, TeacherSettings(weight=0.5, begins=2, rises=4))
    assert [teacher.weight(step) for step in range(7)] == [0, 0, 0.125, 0.25, 0.375, 0.5, 0.5]
    batch = examples.batch(0)
    batch = replace(batch, target=batch.target[:, : len(CONFIG.predicates)])
    assert torch.equal(teacher.labels(batch, 0), batch.target)
    labels = teacher.labels(batch, 9)
    scores = teacher.model(batch.features, batch.classes, batch.whole, batch.is_segment)
    pairs = batch.is_segment[:, :, None] & batch.is_segment[:, None, :] & ~torch.eye(3).bool()
    free = pairs[:, None] & (batch.target == 0)
    torch.testing.assert_close(labels[free], 0.5 * label_of(scores)[free])
    assert (labels[batch.target == 1] == 1).all()
    assert not labels[~pairs[:, None].expand(labels.shape)].any()


# --- The start ------------------------------------------------------------------------------------


def test_the_first_blocks_of_a_bert(tmp_path: Path):
    sizes = {"hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 32}
    bert = BertModel(BertConfig(vocab_size=9, num_hidden_layers=3, **sizes))
    bert.save_pretrained(tmp_path)
    model = RelationModel(CONFIG)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start_from_bert(model, str(tmp_path))
    after, given = model.state_dict(), bert.state_dict()
    name = "encoder.layer.1.attention.self.query.weight"
    assert torch.equal(after[f"model.{name}"], given[name])
    name = "embeddings.position_embeddings.weight"
    assert torch.equal(after[f"model.{name}"], given[name][:2])
    for own in ("fc_input.0.weight", "cls_sub.weight", "model.pooler.dense.weight"):
        assert torch.equal(after[own], before[own])
    changed = {own for own in after if not torch.equal(after[own], before[own])}
    assert all(own.startswith("model.") for own in changed)
    for config, told in (
        (replace(CONFIG, num_layers=4), r"of encoder.layer.3.* it has no such weight"),
        (replace(CONFIG, intermediate_size=16), r"must be \(16, 24\), it has one of \(32, 24\)"),
    ):
        with pytest.raises(ConfigError, match=told):
            start_from_bert(RelationModel(config), str(tmp_path))


# --- Settings -------------------------------------------------------------------------------------


def test_the_recipe_in_the_repository_is_valid():
    path = Path(training.relations.__file__).with_name("psg.yaml")
    assert read_recipe(path, ["optimizer.steps=3"]).optimizer.steps == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["optimizer.step=3"], "did you mean optimizer.steps"),
        (["noise.copies=0"], "copies must be 1 or more"),
        (["noise.classes=2"], "classes must be from 0 to 1"),
        (["teacher.decay=1"], "decay must be from 0 to below 1"),
        (["teacher.begins=-1"], "begins and rises"),
        (["most_segments=1"], "most_segments must be 2 or more"),
        (["optimizer.batch=0"], "batch must be 1 or more"),
    ],
)
def test_settings_that_cannot_be(words: list[str], told: str):
    path = Path(training.relations.__file__).with_name("psg.yaml")
    with pytest.raises(ConfigError, match=told):
        read_recipe(path, words)


def test_padding_keeps_each_picture(examples: RelationExamples):
    one, other = examples.batch(0), examples.batch(1)
    joined = padded([one, other])
    assert torch.equal(joined.target[:3], one.target)
    assert torch.equal(joined.whole[3:], other.whole)
