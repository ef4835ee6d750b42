"""What a tower is shown of a picture, by name: one file a layout.

A `Layout(sizes)`, which is a `Shown`, turns uint8 [H, W, 3] into frames
uint8 [F, h, w, 3], all of one size that divides into merged patches. No frame sees
another.
"""

from typing import Protocol

import numpy as np

from bridge_jax.core import rooms


class Sizes(Protocol):
    """The fields of `processor.Config` that layouts read."""

    patch: int
    merge: int
    min_pixels: int
    max_pixels: int
    side: int
    tiles: tuple[tuple[int, int], ...]


class Shown(Protocol):
    """What a `Layout` is. Patch counts are multiples of `unit`."""

    unit: int

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(F, h, w) of the frames of a picture of that size."""

    def __call__(self, image: np.ndarray) -> np.ndarray: ...


def named(name: str, sizes: Sizes) -> Shown:
    """The layout of that name.

    Raises:
      BridgeError: there is none, or sizes that do not fit.
    """
    return rooms.load(__name__, name, "Layout", "processor.layout")(sizes)


def square_problems(sizes: Sizes) -> list[str]:
    """A sentence if a square of `side` pixels does not divide into merged patches."""
    unit = sizes.patch * sizes.merge
    if sizes.side > 0 and sizes.side % unit == 0:
        return []
    return [
        f"processor.side {sizes.side} is no multiple of {unit} pixels, a merged patch"
    ]
