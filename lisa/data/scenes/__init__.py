"""Generated scenes: photographed cut-outs pasted on generated backgrounds, with exact masks.

`cutouts` reads the pictures of single objects, `variation` changes their looks, `backgrounds`
paints what lies behind them and `compose` puts all together; `relations` says how the objects of a
scene relate. A scene is a pure function of its
seed, of the library's files and of how much looks vary.
"""

from lisa.data.scenes.compose import Scene, SceneObject, compose_scene
from lisa.data.scenes.cutouts import CutoutLibrary
from lisa.data.scenes.relations import (
    MIRRORS,
    PREDICATES,
    ObjectRelation,
    Predicate,
    scene_relations,
)
from lisa.data.scenes.variation import PLAIN, WIDE, Variation

__all__ = [
    "MIRRORS",
    "PLAIN",
    "PREDICATES",
    "WIDE",
    "CutoutLibrary",
    "ObjectRelation",
    "Predicate",
    "Scene",
    "SceneObject",
    "Variation",
    "compose_scene",
    "scene_relations",
]
