"""Paired embeddings of scenes and their pictures, from no model at all.

Two fixed random maps stand for a frozen embedding model: one of what a scene's words
say, one of the picture's pixels. What the two share is the scene, as with real ones.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from bridge_jax.data import shapes_world
from bridge_jax.data.shapes import palette, scene
from bridge_jax.data.streams import ENDLESS

_CELL = 4  # pixels a side that are averaged


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: text [width] and image [width], float32 of length 1.

    Attributes:
      width: of both.
    """

    processor: Any
    split: str = "train"
    seed: int = 0
    width: int = 128

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        item = shapes_world.Source(self.split, self.seed, ENDLESS)[index]
        return embeddings(item.scene, self.width)


def embeddings(shown: scene.Scene, width: int) -> dict[str, np.ndarray]:
    """text and image [width] of one scene, float32 of length 1."""
    picture = shapes_world.render(shown).astype(np.float32) / 127.5 - 1.0
    side = picture.shape[0] // _CELL
    cells = picture.reshape(side, _CELL, side, _CELL, 3).mean((1, 3))
    return {
        "text": _embed("text", _said(shown), width),
        "image": _embed("image", cells.ravel(), width),
    }


def _said(shown: scene.Scene) -> np.ndarray:
    """Which background, and what stands in each place: zeros and ones."""
    names = [*palette.COLORS, *palette.SHAPES, *palette.SIZES]
    table = np.zeros((len(palette.PLACES), len(names)), np.float32)
    for thing in shown.objects:
        row = table[scene.PLACE_ORDER[thing.place]]
        for word in (thing.color, thing.shape, thing.size):
            row[names.index(word)] = 1.0
    ground = np.array(scene.BACKGROUND_NAMES) == shown.background
    return np.concatenate([table.ravel(), ground.astype(np.float32)])


def _embed(name: str, features: np.ndarray, width: int) -> np.ndarray:
    mapped = features @ _map(name, features.size, width)
    return (mapped / np.linalg.norm(mapped)).astype(np.float32)


@functools.lru_cache(4)
def _map(name: str, inputs: int, width: int) -> np.ndarray:
    draw = np.random.default_rng([*name.encode()])  # one model, whatever the run's seed
    return draw.normal(size=(inputs, width)).astype(np.float32)
