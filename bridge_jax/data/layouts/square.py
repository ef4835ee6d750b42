"""Padded to a square and resized to one size, as LLaVA-1.5 does (arXiv 2310.03744)."""

import numpy as np

from bridge_jax.core import clip
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images, layouts

# CLIP's mean color: what is padded becomes nearly 0.
PADDING = tuple(int(255 * level) for level in clip.MEAN)


class Layout:
    """One frame of `side` x `side` pixels."""

    def __init__(self, sizes: layouts.Sizes):
        if problems := layouts.square_problems(sizes):
            raise BridgeError("; ".join(problems))
        self._side = sizes.side
        self.unit = (sizes.side // sizes.patch) ** 2

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        return 1, self._side, self._side

    def __call__(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        longest = max(height, width)
        padded = images.centered(image, longest, longest, PADDING)
        return images.resize(padded, self._side, self._side)[None]
