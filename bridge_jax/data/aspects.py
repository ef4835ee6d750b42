"""Sizes of pictures of one area and several aspect ratios, and cutting to them."""

import math
from collections.abc import Sequence

import numpy as np

from bridge_jax.data import images

Size = tuple[int, int]  # height, width


def sizes(side: int, unit: int, longest: float) -> list[Size]:
    """Heights and widths in multiples of `unit` with about `side` ** 2 pixels.

    For every height there is the width that comes nearest; sides differ by a factor of
    at most `longest`. From tall to wide.
    """
    found = []
    for tall in range(unit, side * 4 + unit, unit):
        wide = max(unit, round(side * side / tall / unit) * unit)
        if max(tall, wide) <= longest * min(tall, wide):
            found.append((tall, wide))
    # Two heights may want the same width; the nearer one has it.
    best: dict[int, Size] = {}
    for size in found:
        off = abs(math.log(size[0] * size[1] / side**2))
        kept = best.get(size[1])
        if kept is None or off < abs(math.log(kept[0] * kept[1] / side**2)):
            best[size[1]] = size
    return sorted(best.values(), reverse=True)


def nearest(choices: Sequence[Size], height: int, width: int) -> int:
    """Number of the size whose aspect ratio is nearest: by the factor between them."""
    wanted = math.log(height / width)
    return min(
        range(len(choices)),
        key=lambda i: abs(math.log(choices[i][0] / choices[i][1]) - wanted),
    )


def cut(image: np.ndarray, size: Size) -> tuple[np.ndarray, tuple[int, int]]:
    """Scale until `size` is covered, then cut out the middle.

    Args:
      image: uint8 [H, W, 3].

    Returns:
      uint8 [*size, 3], and (top, left) of the cut in the scaled picture, in pixels.
    """
    height, width = image.shape[:2]
    scale = max(size[0] / height, size[1] / width)
    tall, wide = max(size[0], round(height * scale)), max(size[1], round(width * scale))
    scaled = images.resize(image, tall, wide)
    top, left = (tall - size[0]) // 2, (wide - size[1]) // 2
    return scaled[top : top + size[0], left : left + size[1]], (top, left)
