"""What a glance at each part of a scene says: several words at once, more or less."""

from collections.abc import Mapping

import numpy as np

from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import palette
from bridge_jax.data.shapes.scene import Object, Scene

SIDE = 4  # cells a side: as many places as the shapes world's towers have tokens
CELL = palette.IMAGE_SIZE / SIDE  # pixels
LEAST = 20.0  # square pixels of a cell in which a thing is noticed
STRAY = 0.3  # share of cells that also say something unfounded
LOUDEST = 0.3  # share of such a cell's mixture that is unfounded, at most


def mixtures(
    stream: Choices, scene: Scene, index: Mapping[str, int], size: int
) -> np.ndarray:
    """Shares of words in what each cell says: float32 [SIDE ** 2, size], rows add to 1.

    A cell says some of the words of what lies in it, or names the background. All words
    of every thing (size, color, shape, place) come in one of its cells at least.

    Args:
      index: word -> its column; all words of the shapes world are in.
      size: number of columns.
    """
    told = np.zeros((SIDE**2, size), np.float32)
    for thing in scene.objects:
        touched = areas(thing)
        cells = [cell for cell, area in touched.items() if area >= LEAST]
        words = [thing.size, thing.color, str(thing.shape), *thing.place.split()]
        said = {cell: set(stream.sample(words, 1 + stream.below(4))) for cell in cells}
        for word in words:
            if not any(word in some for some in said.values()):
                said[stream.choice(cells)].add(word)
        for cell, some in said.items():
            spoken = [word for word in words if word in some]
            told[cell] += touched[cell] * _shares(stream, spoken, index, size)
    for row in told:
        if not row.any():
            words = [scene.background, "background"][: 1 + stream.below(2)]
            row += _shares(stream, words, index, size)
        row /= row.sum()
        if stream.coin(STRAY):
            loud = LOUDEST * stream.uniform()
            row *= 1 - loud
            row[stream.below(size)] += loud
    return told


def _shares(stream: Choices, words, index: Mapping[str, int], size: int) -> np.ndarray:
    shares = np.zeros(size, np.float32)
    for word in words:
        shares[index[word]] += 0.25 + stream.uniform()
    return shares / shares.sum()


def areas(thing: Object) -> dict[int, float]:
    """Cell, in reading order -> square pixels of it in the thing's box."""
    found = {}
    for cell in range(SIDE**2):
        row, column = divmod(cell, SIDE)
        wide = _overlap(column, thing.x, thing.radius)
        found[cell] = wide * _overlap(row, thing.y, thing.radius)
    return found


def _overlap(number: int, middle: float, radius: float) -> float:
    """Pixels that a row or column of cells shares with a box, along one axis."""
    low, high = number * CELL, (number + 1) * CELL
    return max(0.0, min(high, middle + radius) - max(low, middle - radius))
