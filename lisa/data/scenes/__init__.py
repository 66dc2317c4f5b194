"""Generated scenes: photographed cut-outs pasted on generated backgrounds, with exact masks.

`cutouts` reads the pictures of single objects, `variation` changes their looks, `backgrounds`
paints what lies behind them and `compose` puts all together. A scene is a pure function of its
seed, of the library's files and of how much looks vary.
"""

from lisa.data.scenes.compose import Scene, SceneObject, compose_scene
from lisa.data.scenes.cutouts import CutoutLibrary
from lisa.data.scenes.variation import PLAIN, WIDE, Variation

__all__ = [
    "PLAIN",
    "WIDE",
    "CutoutLibrary",
    "Scene",
    "SceneObject",
    "Variation",
    "compose_scene",
]
