"""Generated scenes: photographed cut-outs pasted on generated backgrounds, with exact masks.

`cutouts` reads the pictures of single objects, `backgrounds` paints what lies behind them and
`compose` puts both together. A scene is a pure function of its seed and of the library's files.
"""

from lisa.data.scenes.compose import Scene, SceneObject, compose_scene
from lisa.data.scenes.cutouts import CutoutLibrary

__all__ = ["CutoutLibrary", "Scene", "SceneObject", "compose_scene"]
