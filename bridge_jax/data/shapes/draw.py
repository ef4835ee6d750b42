"""Anti-aliased drawing: scene -> uint8 picture, by cached supersampled masks."""

import functools
import math
from collections.abc import Mapping

import numpy as np
from PIL import Image

from bridge_jax.data.shapes import palette
from bridge_jax.data.shapes.scene import Scene

Tint = tuple[int, int, int]  # RGB, 0..255

SUPERSAMPLE = 8
# Half the width of a mask's window: the largest radius, and slack for soft edges.
REACH = math.ceil(max(palette.SIZES.values())) + 2
WINDOW = 2 * REACH + 1


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Five points, the first upwards; inner radius 0.45 of the outer one."""
    fifth = 2 * math.pi / 5
    angle = np.arctan2(u, -v)
    fold = np.abs((angle + fifth / 2) % fifth - fifth / 2)
    x, y = np.hypot(u, v) * np.cos(fold), np.hypot(u, v) * np.sin(fold)
    notch_x, notch_y = 0.45 * math.cos(fifth / 2), 0.45 * math.sin(fifth / 2)
    return (notch_x - 1) * y - notch_y * (x - 1) >= 0


def inside(shape: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Whether points (u right, v down, in radii from the centre) are in the shape."""
    box = np.maximum(np.abs(u), np.abs(v))
    distance = np.hypot(u, v)
    if shape == "circle":
        return distance <= 1
    if shape == "ring":
        return (distance <= 1) & (distance >= 0.5)
    if shape == "square":
        return box <= 0.86
    if shape == "triangle":
        return (v <= 0.85) & (np.abs(u) <= (v + 1) / 1.85)
    if shape == "cross":
        return (box <= 1) & (np.minimum(np.abs(u), np.abs(v)) <= 0.34)
    return _star(u, v)


def _soften(mask: np.ndarray, softness: float) -> np.ndarray:
    """Gaussian blur with a standard deviation of `softness` pixels."""
    positions = np.arange(WINDOW)
    distance = (positions[:, None] - positions[None]) / softness
    kernel = np.exp(-0.5 * np.square(distance)).astype(np.float32)
    kernel /= kernel[WINDOW // 2].sum()
    return kernel @ mask @ kernel


@functools.lru_cache(maxsize=8192)
def _mask(
    shape: str, radius: float, step_x: int, step_y: int, softness: float
) -> np.ndarray:
    samples = (np.arange(WINDOW * SUPERSAMPLE) + 0.5) / SUPERSAMPLE - REACH
    u = (samples - step_x / palette.SUBPIXEL) / radius
    v = (samples - step_y / palette.SUBPIXEL) / radius
    fine = inside(shape, *np.meshgrid(u, v))
    blocks = fine.reshape(WINDOW, SUPERSAMPLE, WINDOW, SUPERSAMPLE)
    mask = blocks.mean((1, 3), dtype=np.float32)
    if softness:
        mask = _soften(mask, softness)
    mask.flags.writeable = False
    return mask


def mask(shape: str, radius: float, x: float, y: float, softness: float = 0.0):
    """Coverage of a shape and where it lies.

    Args:
      radius: in pixels, as in palette.SIZES.
      x, y: centre in pixels, snapped to the grid of 1/8 pixel.
      softness: standard deviation of a blur, in pixels.

    Returns:
      float32 [WINDOW, WINDOW] in 0..1, its first row, its first column.
    """
    column, step_x = divmod(round(x * palette.SUBPIXEL), palette.SUBPIXEL)
    row, step_y = divmod(round(y * palette.SUBPIXEL), palette.SUBPIXEL)
    return _mask(shape, radius, step_x, step_y, softness), row - REACH, column - REACH


def clip(start: int) -> tuple[slice, slice]:
    """The part of the picture under a window from `start`, and that of the window."""
    low, high = max(start, 0), min(start + WINDOW, palette.IMAGE_SIZE)
    return slice(low, high), slice(low - start, high - start)


def render(
    scene: Scene,
    tints: Mapping[int, Tint] | None = None,
    size: int = palette.IMAGE_SIZE,
) -> np.ndarray:
    """The picture of a scene, uint8 [size, size, 3] (height, width, RGB).

    `tints` gives objects, by number, another color than their named one. A size other
    than the world's own is its picture, resampled.
    """
    tints = tints or {}
    shape = (palette.IMAGE_SIZE, palette.IMAGE_SIZE, 3)
    picture = np.empty(shape, np.float32)
    picture[:] = palette.BACKGROUNDS[scene.background]
    for number, thing in enumerate(scene.objects):
        color = tints.get(number, palette.COLORS[thing.color])
        cover, top, left = mask(thing.shape, thing.radius, thing.x, thing.y)
        (rows, window_rows), (columns, window_columns) = clip(top), clip(left)
        alpha = cover[window_rows, window_columns, None]
        patch = picture[rows, columns]
        patch += alpha * (np.asarray(color, np.float32) - patch)
    drawn = (picture + 0.5).astype(np.uint8)
    if size == palette.IMAGE_SIZE:
        return drawn
    return np.asarray(Image.fromarray(drawn).resize((size, size)))
