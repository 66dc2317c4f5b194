"""Relations between the things of a picture: Relate-Anything, rebuilt, and GRNet's second stage.

`RelationPredictor` relates masks by their mask tokens; `lisa.relations.scene_graphs` finds things
and their names first.
"""

from lisa.relations.config import RelationConfig, config_from_shapes
from lisa.relations.graph import Relation, SceneGraph
from lisa.relations.losses import predicate_losses, relation_loss
from lisa.relations.model import RelationModel
from lisa.relations.predictor import RelationPredictor, rank
from lisa.relations.vocabulary import CLASSES, PREDICATES, STUFF_CLASSES, THING_CLASSES

__all__ = [
    "CLASSES",
    "PREDICATES",
    "STUFF_CLASSES",
    "THING_CLASSES",
    "Relation",
    "RelationConfig",
    "RelationModel",
    "RelationPredictor",
    "SceneGraph",
    "config_from_shapes",
    "predicate_losses",
    "rank",
    "relation_loss",
]
