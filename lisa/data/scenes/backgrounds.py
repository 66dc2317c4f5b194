"""Backgrounds painted from noise: gradients, cloudy textures, stripes, and a wall with a floor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lisa.types import ImageSize

FloatImage = NDArray[np.float32]


def _colour(rng: np.random.Generator) -> FloatImage:
    return rng.uniform(20, 240, size=3).astype(np.float32)


def _clouds(size: ImageSize, rng: np.random.Generator, octaves: int = 4) -> FloatImage:
    """Smooth noise in [0, 1], (H, W): random grids of growing resolution, each half as strong."""
    total = np.zeros(size, np.float32)
    weight = 1.0
    cells = int(rng.integers(2, 6))
    for _ in range(octaves):
        grid = Image.fromarray(rng.random((cells, cells)).astype(np.float32))
        shape = (size.width, size.height)
        total += weight * np.asarray(grid.resize(shape, Image.Resampling.BICUBIC), np.float32)
        weight, cells = weight / 2, cells * 2
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def _mix(amount: FloatImage, first: FloatImage, second: FloatImage) -> FloatImage:
    return first + amount[..., None] * (second - first)


def _flat(size: ImageSize, rng: np.random.Generator) -> FloatImage:
    return np.broadcast_to(_colour(rng), (*size, 3)).copy()


def _gradient(size: ImageSize, rng: np.random.Generator) -> FloatImage:
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0 : size.height, 0 : size.width].astype(np.float32)
    along = np.cos(angle) * columns / size.width + np.sin(angle) * rows / size.height
    along = (along - along.min()) / max(float(np.ptp(along)), 1e-6)
    return _mix(along.astype(np.float32), _colour(rng), _colour(rng))


def _texture(size: ImageSize, rng: np.random.Generator) -> FloatImage:
    painted = _mix(_clouds(size, rng), _colour(rng), _colour(rng))
    return _mix(_clouds(size, rng, octaves=6) * 0.5, painted, _colour(rng))


def _stripes(size: ImageSize, rng: np.random.Generator) -> FloatImage:
    rows, columns = np.mgrid[0 : size.height, 0 : size.width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(8, 60)
    wave = np.sin((np.cos(angle) * columns + np.sin(angle) * rows) * 2 * np.pi / period)
    sharpness = rng.uniform(0.5, 6)
    return _mix(1 / (1 + np.exp(-sharpness * wave)), _colour(rng), _colour(rng))


def _wall_and_floor(size: ImageSize, rng: np.random.Generator) -> FloatImage:
    painted = _texture(size, rng)
    horizon = int(rng.uniform(0.35, 0.75) * size.height)
    if horizon > 0:
        wall = _gradient if rng.random() < 0.5 else _texture
        painted[:horizon] = wall(ImageSize(horizon, size.width), rng)
    return painted


_PAINTERS: tuple[Callable[[ImageSize, np.random.Generator], FloatImage], ...] = (
    _flat,
    _gradient,
    _texture,
    _texture,
    _stripes,
    _wall_and_floor,
    _wall_and_floor,
)


def paint_background(size: ImageSize, rng: np.random.Generator) -> Image.Image:
    """Paint one background of `size`: RGB, uint8, with a little sensor noise."""
    painter = _PAINTERS[int(rng.integers(len(_PAINTERS)))]
    painted = painter(size, rng)
    noisy = painted + rng.normal(0, rng.uniform(0, 9), size=painted.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
