"""The picture as it is, resized a little so that it divides, as Qwen2-VL does."""

import numpy as np

from bridge_jax.data import patches
from bridge_jax.data.layouts import Sizes


class Layout:
    """One frame between `min_pixels` and `max_pixels`."""

    def __init__(self, sizes: Sizes):
        self._sizes = sizes
        self.unit = sizes.merge**2

    def __call__(self, image: np.ndarray) -> np.ndarray:
        c = self._sizes
        return patches.fit(image, c.patch, c.merge, c.min_pixels, c.max_pixels)[None]
