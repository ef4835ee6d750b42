"""The whole picture small, then square tiles of it, as LLaVA-NeXT does.

https://llava-vl.github.io/blog/2024-01-30-llava-next
"""

import math

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images, layouts

BLACK = (0, 0, 0)


class Layout:
    """1 + rows x columns frames of `side` x `side` pixels.

    Of the grids in `tiles`, (rows, columns) each, the one that keeps most of the
    picture's pixels, and then the one that pads least.
    """

    def __init__(self, sizes: layouts.Sizes):
        problems = layouts.square_problems(sizes)
        if not sizes.tiles or min(min(grid) for grid in sizes.tiles) < 1:
            problems.append(
                f"processor.tiles {sizes.tiles} are no (rows, columns) from 1 up"
            )
        if problems:
            raise BridgeError("; ".join(problems))
        self._side, self._grids = sizes.side, sizes.tiles
        self.unit = (sizes.side // sizes.patch) ** 2

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        rows, columns = self._grid(height, width)
        return 1 + rows * columns, self._side, self._side

    def __call__(self, image: np.ndarray) -> np.ndarray:
        side, (height, width) = self._side, image.shape[:2]
        rows, columns = self._grid(height, width)
        whole = images.resize(image, side, side)[None]
        scale = self._scale(height, width, (rows, columns))
        fitted = images.resize(
            image,
            min(math.ceil(height * scale), rows * side),
            min(math.ceil(width * scale), columns * side),
        )
        padded = images.centered(fitted, rows * side, columns * side, BLACK)
        tiles = padded.reshape(rows, side, columns, side, 3).swapaxes(1, 2)
        return np.concatenate([whole, tiles.reshape(-1, side, side, 3)])

    def _grid(self, height: int, width: int) -> tuple[int, int]:
        return max(self._grids, key=lambda grid: self._worth(height, width, grid))

    def _scale(self, height: int, width: int, grid: tuple[int, int]) -> float:
        """By which the picture just fits into the grid."""
        return min(grid[0] * self._side / height, grid[1] * self._side / width)

    def _worth(self, height: int, width: int, grid: tuple[int, int]) -> tuple[int, int]:
        """(pixels of the picture that are kept, minus those that are wasted)."""
        scale = self._scale(height, width, grid)
        kept = min(int(height * scale) * int(width * scale), height * width)
        return kept, kept - grid[0] * grid[1] * self._side**2
