"""Pixels to the vision tower's input, in Qwen2-VL's order.

A picture of h x w patches becomes h * w rows. Rows run over the blocks of
merge x merge patches that the tower joins into one token, then over the patches
inside a block; a row is laid out channel, frame, row, column. A single picture is
shown twice to fill the temporal patch.
"""

import functools
from collections.abc import Sequence

import numpy as np

from bridge_jax.core import clip
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images


def fit(
    image: np.ndarray,
    patch: int = 14,
    merge: int = 2,
    min_pixels: int = 56 * 56,
    max_pixels: int = 28 * 28 * 1280,
) -> np.ndarray:
    """Resize [H, W, 3] uint8 to whole merged patches, as Qwen2-VL does."""
    height, width = images.smart_resize(
        *image.shape[:2], patch * merge, min_pixels, max_pixels
    )
    return images.resize(image, height, width)


def to_patches(
    image: np.ndarray,
    patch: int = 14,
    temporal: int = 2,
    merge: int = 2,
    mean: Sequence[float] = clip.MEAN,
    std: Sequence[float] = clip.STD,
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Normalised patches of one picture or video.

    Args:
      image: uint8 [H, W, 3], or a video [F, H, W, 3] (its last frame is repeated until
        `temporal` divides F). H and W are multiples of patch * merge; see `fit`.

    Returns:
      patches [P, 3 * temporal * patch * patch] float32 and the grid (t, h, w) in
      patches, with P = t * h * w.
    """
    frames = image[None] if image.ndim == 3 else image
    missing = -len(frames) % temporal
    if missing:
        frames = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
    grid = _grid(frames.shape, patch, temporal, merge)
    return _arrange(frames[None], grid, patch, merge, mean, std)[0], grid


def batch_to_patches(
    batch: np.ndarray,
    patch: int = 14,
    temporal: int = 2,
    merge: int = 2,
    mean: Sequence[float] = clip.MEAN,
    std: Sequence[float] = clip.STD,
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """`to_patches` for pictures of one size, in one go.

    Args:
      batch: uint8 [B, H, W, 3].

    Returns:
      patches [B, P, 3 * temporal * patch * patch] float32, and the grid all share.
    """
    frames = np.broadcast_to(batch[:, None], (len(batch), temporal, *batch.shape[1:]))
    grid = _grid(frames.shape[1:], patch, temporal, merge)
    return _arrange(frames, grid, patch, merge, mean, std), grid


def patch_coordinates(
    grids: Sequence[Sequence[int]], merge: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Where each patch stands, in the order of `to_patches`.

    Args:
      grids: (t, h, w) of N pictures or videos, packed one after another.

    Returns:
      coordinates [P, 2] int32 (row, column) in the unmerged grid, and frames [P]
      int32: a number per frame, counting from 1 across all grids, because vision
      attention stays within a frame (0 is left for padding patches).

    Raises:
      BridgeError: a grid that does not divide into merge x merge blocks.
    """
    coordinates, frames, count = [], [], 0
    for time, height, width in (tuple(int(s) for s in grid) for grid in grids):
        if height % merge or width % merge:
            raise BridgeError(
                f"a grid of {height} x {width} patches does not divide into {merge} x "
                f"{merge} blocks; resize the picture with `fit` first"
            )
        places = np.indices((height, width), dtype=np.int32)
        places = places.reshape(
            2, height // merge, merge, width // merge, merge
        ).transpose(1, 3, 2, 4, 0)
        coordinates.append(np.tile(places.reshape(-1, 2), (time, 1)))
        numbers = np.arange(count + 1, count + time + 1, dtype=np.int32)
        frames.append(np.repeat(numbers, height * width))
        count += time
    if not coordinates:
        return np.zeros((0, 2), np.int32), np.zeros((0,), np.int32)
    return np.concatenate(coordinates), np.concatenate(frames)


def pack(
    rows: Sequence[Sequence[tuple[np.ndarray, Sequence[int]]]],
    length: int,
    width: int,
    merge: int = 2,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pack each row's pictures one after another and pad to `length` patches.

    Args:
      rows: for each of B rows, the (patches, grid) of its pictures, in the order of
        their placeholders.
      length: P, patches per row; width: D, values per patch.

    Returns:
      patches [B, P, D] float32, coordinates [B, P, 2] int32, frames [B, P] int32
      (0 on padding).

    Raises:
      BridgeError: a row has more patches than `length`.
    """
    patches = np.zeros((len(rows), length, width), np.float32)
    coordinates = np.zeros((len(rows), length, 2), np.int32)
    frames = np.zeros((len(rows), length), np.int32)
    for b, row in enumerate(rows):
        places, numbers = patch_coordinates([grid for _, grid in row], merge)
        if len(numbers) > length:
            raise BridgeError(
                f"the pictures of row {b} make {len(numbers)} patches and {length} fit;"
                " lower max_pixels or give fewer pictures"
            )
        if row:
            patches[b, : len(numbers)] = np.concatenate([part for part, _ in row])
        coordinates[b, : len(numbers)] = places
        frames[b, : len(numbers)] = numbers
    return patches, coordinates, frames


def _grid(shape, patch: int, temporal: int, merge: int) -> tuple[int, int, int]:
    frames, height, width = shape[:3]
    if height % (patch * merge) or width % (patch * merge) or not height * width:
        raise BridgeError(
            f"a picture of {width} x {height} does not divide into {merge} x {merge} "
            f"blocks of {patch}-pixel patches; resize it with `fit` first"
        )
    return frames // temporal, height // patch, width // patch


def _arrange(frames, grid, patch, merge, mean, std) -> np.ndarray:
    """uint8 [B, F, H, W, 3] to float32 [B, P, D]."""
    time, height, width = grid
    batch, count = frames.shape[:2]
    temporal = count // time
    blocks = frames.reshape(
        batch, time, temporal, height // merge, merge, patch, width // merge, merge,
        patch, 3,
    )  # fmt: skip
    blocks = blocks.transpose(0, 1, 3, 6, 4, 7, 9, 2, 5, 8)
    values = np.empty(blocks.shape, np.float32)
    for channel, table in enumerate(_normalised(tuple(mean), tuple(std))):
        values[:, :, :, :, :, :, channel] = table[blocks[:, :, :, :, :, :, channel]]
    return values.reshape(batch, time * height * width, -1)


@functools.lru_cache(maxsize=8)
def _normalised(mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """The normalised float32 value of each channel's 256 levels: [3, 256].

    A table is faster than arithmetic on pixels and gives the reference's very bits:
    the scale is applied in float64, mean and deviation in float32.
    """
    levels = (np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32)
    mean32, std32 = np.float32(mean)[:, None], np.float32(std)[:, None]
    return (levels[None, :] - mean32) / std32
