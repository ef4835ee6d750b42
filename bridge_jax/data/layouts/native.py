"""The picture as it is, resized a little so that it divides, as Qwen2-VL does."""

import numpy as np

from bridge_jax.data import images, patches
from bridge_jax.data.layouts import Sizes


class Layout:
    """One frame between `min_pixels` and `max_pixels`."""

    def __init__(self, sizes: Sizes):
        self._sizes = sizes
        self.unit = sizes.merge**2

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        c = self._sizes
        factor, limits = c.patch * c.merge, (c.min_pixels, c.max_pixels)
        return 1, *images.smart_resize(height, width, factor, *limits)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        c = self._sizes
        return patches.fit(image, c.patch, c.merge, c.min_pixels, c.max_pixels)[None]
