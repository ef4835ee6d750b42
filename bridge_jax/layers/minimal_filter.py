"""Filters of three taps with as few products as there can be: Toom and Cook's way.

Inputs, taps and outputs stand for polynomials. Values at m + 1 points and at infinity
say all of the product of two of them, m + 2 products of numbers, and correlation is
that product, transposed (Winograd 1980, Arithmetic Complexity of Computations).
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Filter:
    """output @ ((kernel @ taps) * (tile @ inputs)): m outputs of m + 2 inputs.

    Args:
      outputs: how many, m.
      points: m + 1 numbers. All is exact but for rounding, which grows with the powers
        and differences of these.
    """

    outputs: int
    points: tuple[float, ...]

    @property
    def places(self) -> int:
        """Inputs of a tile, and products for it."""
        return self.outputs + 2

    @property
    def tile(self) -> np.ndarray:
        """[m + 2, m + 2]: of inputs."""
        rows = [np.poly(others)[::-1] for others in self._others()]
        return np.stack([*np.pad(rows, ((0, 0), (0, 1))), np.poly(self.points)[::-1]])

    @property
    def kernel(self) -> np.ndarray:
        """[m + 2, 3]: of taps."""
        pairs = zip(self.points, self._others(), strict=True)
        rows = [point ** np.arange(3) / np.prod(point - one) for point, one in pairs]
        return np.stack([*rows, np.eye(3)[-1]])

    @property
    def output(self) -> np.ndarray:
        """[m, m + 2]: of products."""
        powers = np.vander(self.points, self.outputs, increasing=True).T
        return np.column_stack([powers, np.eye(self.outputs)[-1]])

    def _others(self) -> list[np.ndarray]:
        """For each point all points but that one."""
        return [np.delete(self.points, index) for index in range(len(self.points))]


TWO = Filter(2, (0.0, 1.0, -1.0))
# Of 0, a, -a, b, -b in eighths these round least, but for 3 %; a = 1 and b = 2 round
# 1.4 times as much.
FOUR = Filter(4, (0.0, 0.75, -0.75, 1.5, -1.5))
