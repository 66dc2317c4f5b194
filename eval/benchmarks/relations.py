"""PSG: relations between the things of a picture, scored from a file of predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from eval.benchmarks.contract import Benchmark, register_family
from eval.benchmarks.lazy_pictures import LazyPictures
from eval.benchmarks.places import find_root
from eval.benchmarks.relation_files import RelationFile, open_relation_file
from eval.benchmarks.unasked import UnaskedPicture
from eval.metrics import (
    Figure,
    Relation,
    SceneGraph,
    judge_scene_graph,
    scene_graph_figures,
)
from lisa.data.readers.psg import Psg, Scene
from lisa.data.wordings import Wording
from lisa.errors import ConfigError

NAME = "psg"
_PLACES = (".", "psg", "data/psg")
_COCO_PLACES = ("coco", "../coco", ".")


@dataclass(frozen=True, eq=False)
class ScenePicture(UnaskedPicture):
    """A picture of PSG.

    Attributes:
        scene: Its segments and relations.
    """

    scene: Scene

    def graph(self) -> SceneGraph:
        """Return the right answer, masks read.

        Raises:
            DataError: If the label picture is missing or damaged.
        """
        relations = [Relation(*relation) for relation in self.scene.relations]
        return SceneGraph(self.scene.masks(), self.scene.classes, relations)


class ScenePictures(LazyPictures[ScenePicture]):
    """The pictures of a split of PSG.

    Attributes:
        classes: Names of the classes, by number.
        predicates: Names of the predicates, by number.
    """

    def __init__(self, psg: Psg) -> None:
        """Take the pictures of a split."""
        super().__init__(len(psg), lambda index: _picture(psg[index]), psg.place)
        self.classes = psg.classes
        self.predicates = psg.predicates


def _picture(scene: Scene) -> ScenePicture:
    return ScenePicture(scene.key, scene.image, scene)


def score_relations(benchmark: Benchmark, path: Path, *, show: bool = True) -> tuple[Figure, ...]:
    """Score predicted relations.

    Args:
        benchmark: `psg:*`.
        path: Predictions; see `eval.benchmarks.relation_files`.
        show: Whether a progress bar is drawn.

    Raises:
        ConfigError: If the benchmark has no relations.
        DataError: If predictions or data are damaged, or belong to other pictures.
    """
    pictures = benchmark.pictures
    if not isinstance(pictures, ScenePictures):
        raise ConfigError(f"{benchmark.name} has no relations to score: choose {NAME}:test.")
    predictions: RelationFile = open_relation_file(path, pictures.classes, pictures.predicates)
    keys = [picture.key for picture in pictures]
    predictions.check(keys)
    records = []
    for index, picture in enumerate(tqdm(pictures, benchmark.name, disable=not show, leave=None)):
        truth = picture.graph()
        predicted = predictions.read(index, picture.key, picture.scene.size)
        records.append(judge_scene_graph(picture.key, truth, predicted))
    return scene_graph_figures(records, len(pictures.predicates))


def _open(part: str, data: Path, wording: Wording) -> Benchmark:
    name = f"{NAME}:{part}"
    root = find_root(name, data, _PLACES, ["psg.json"])
    coco = find_root(name, root, _COCO_PLACES, ["train2017", "val2017"])
    pictures = ScenePictures(Psg(root / "psg.json", coco, part))
    source = "PSG (Yang et al. 2022); pictures without relations are left out, as by OpenPSG"
    return Benchmark(name, "relations", (), pictures, 0, source)


register_family(
    NAME,
    parts=Psg.splits,
    usual=("test",),
    about="relations between the things of a picture; scores files of predictions",
    layout="psg.json, or psg/psg.json beside coco/",
    open=_open,
)
