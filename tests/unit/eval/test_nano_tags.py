"""`python -m eval.nano.tags` on taggers whose scores are known."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import torch
from PIL import Image
from torch import Tensor

from eval.nano import tags as module
from eval.nano.read_scenes import load_scenes
from eval.nano.tags import ALL, main, right_tags, score_tagger
from lisa.data.knowledge import load_knowledge
from lisa.data.scene_tags import scene_vocabulary
from lisa.errors import ConfigError
from lisa.tagging import TagInfo

SCENES = load_scenes()[:12]
VOCABULARY = scene_vocabulary(load_knowledge())


class ScriptedTagger:
    """Answers with the right tags, or with all but these: what a score of 1, and a low one, needs.

    Its tags stand in another order than the vocabulary, as those of any other tagger may.
    """

    def __init__(self, right: bool = True, tags: Sequence[str] | None = None) -> None:
        names = [tag.name for tag in reversed(VOCABULARY)] if tags is None else list(tags)
        self.tags = [TagInfo(name, 0.5) for name in names]
        self.right = right
        self.rows = [right_tags(picture, picture.open()) for picture in SCENES]
        self.asked = 0

    def restricted(self, names: Sequence[str]) -> ScriptedTagger:
        assert set(names) <= {tag.name for tag in self.tags}
        return self

    def probabilities(self, images: Sequence[Image.Image]) -> Tensor:
        rows = self.rows[self.asked : self.asked + len(images)]
        self.asked += len(images)
        hits = [[(tag.name in row) == self.right for tag in self.tags] for row in rows]
        return 0.1 + 0.8 * torch.tensor(hits).float()


def values(scores, group: str) -> dict[str, float]:
    return {one.name: one.value for one in scores[group]}


def test_a_perfect_tagger():
    scores = score_tagger(ScriptedTagger(), SCENES)
    assert set(scores) == {ALL, "object", "kind", "attribute"}
    for group in scores:
        found = values(scores, group)
        assert found["mAP (classes that occur)"] == pytest.approx(1)
        assert found["CP (classes predicted)"] == pytest.approx(1)
        assert found["CR (classes that occur)"] == pytest.approx(1)


def test_a_tagger_that_says_the_opposite():
    found = values(score_tagger(ScriptedTagger(right=False), SCENES), ALL)
    assert found["mAP (classes that occur)"] < 0.5
    assert found["CR (classes that occur)"] == pytest.approx(0)


def test_a_tagger_for_other_things():
    with pytest.raises(ConfigError, match="lacks .* tags of the scenes, such as 'acoustic guitar'"):
        score_tagger(ScriptedTagger(tags=["dog"]), SCENES)


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys):
    from lisa import tagging

    class Loader:
        from_pretrained = staticmethod(lambda name, device: ScriptedTagger())

    monkeypatch.setattr(tagging, "Tagger", Loader)
    monkeypatch.setattr(module, "load_scenes", lambda: SCENES)
    assert main(["--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed[ALL]["mAP (classes that occur)"] == pytest.approx(1)
    assert main([]) == 0
    assert "object: mAP (classes that occur) 1.000" in capsys.readouterr().out
