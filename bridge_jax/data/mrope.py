"""Three-axis positions (time, height, width) of Qwen2-VL's multimodal rotary embedding.

Text advances all three axes together. The tokens of an image or video take the
current position plus their (t, h, w) offset in the merged grid; what follows starts
one past the largest position used so far. Padding has position 1.
Source: Qwen2-VL report (arXiv 2409.12191), section 2.1.
"""

from collections.abc import Callable, Sequence

import numpy as np

from bridge_jax.core.errors import BridgeError

PADDING_POSITION = 1


def visual_length(grid: Sequence[int], merge: int = 2) -> int:
    """Number of LLM tokens of one image or video; grid is (t, h, w) in patches."""
    time, height, width = (int(side) for side in grid)
    return time * (height // merge) * (width // merge)


def grid_offsets(grid: Sequence[int], merge: int = 2) -> np.ndarray:
    """(t, h, w) offset of each merged visual token, row by row: [3, N] int32."""
    time, height, width = (int(side) for side in grid)
    shape = (time, height // merge, width // merge)
    return np.indices(shape, dtype=np.int32).reshape(3, -1)


def image_index(visual: np.ndarray) -> np.ndarray:
    """Which of its row's visual tokens stands at each position: int32 [..., T], or -1.

    Visual tokens (bool [..., T]) are numbered in order of appearance, images and
    videos together.
    """
    index = np.cumsum(visual, axis=-1, dtype=np.int32) - 1
    return np.where(visual, index, np.int32(-1))


def row_positions(
    visual: np.ndarray, grids: Sequence[Sequence[int]], merge: int = 2
) -> np.ndarray:
    """Positions of one unpadded row.

    Args:
      visual: [T] bool, True on image and video placeholder tokens.
      grids: (t, h, w) in patches of the row's images and videos, in order.
      merge: patches per side that the vision tower merges into one token.

    Returns:
      [3, T] int32.

    Raises:
      BridgeError: placeholders and grids do not match.
    """
    starts = _visual_starts(visual, grids, merge)
    positions = np.empty((3, len(visual)), np.int32)
    done, following = 0, 0
    for start, grid in zip(starts, grids, strict=True):
        text = start - done
        positions[:, done:start] = following + np.arange(text, dtype=np.int32)
        offsets = grid_offsets(grid, merge)
        done = start + offsets.shape[1]
        positions[:, start:done] = following + text + offsets
        following += text + int(offsets.max()) + 1
    positions[:, done:] = following + np.arange(len(visual) - done, dtype=np.int32)
    return positions


def batch_positions(
    visual: np.ndarray,
    segments: np.ndarray,
    grids: Sequence[Sequence[Sequence[int]]],
    merge: int = 2,
    rule: Callable[..., np.ndarray] = row_positions,
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a padded batch; padding may stand on either side.

    Args:
      visual: [B, T] bool, True on image and video placeholder tokens.
      segments: [B, T], 0 on padding.
      grids: for each row, the (t, h, w) of its images and videos in order.
      merge: see `row_positions`.
      rule: numbers one row, as `row_positions` does.

    Returns:
      positions [3, B, T] int32, and deltas [B] int32: token number `i` of the padded
      row, written after the given ones (i >= T), has position i + delta on each axis.

    Raises:
      BridgeError: placeholders and grids of a row, which it names, do not match.
    """
    rows, length = visual.shape
    positions = np.full((3, rows, length), PADDING_POSITION, np.int32)
    deltas = np.zeros((rows,), np.int32)
    for b in range(rows):
        valid = segments[b] != 0
        try:
            row = rule(visual[b, valid], grids[b], merge)
        except BridgeError as error:
            raise BridgeError(f"row {b}: {error}") from None
        positions[:, b, valid] = row
        deltas[b] = (int(row.max()) + 1 if row.size else 0) - length
    return positions, deltas


def _visual_starts(
    visual: np.ndarray, grids: Sequence[Sequence[int]], merge: int
) -> list[int]:
    """Index of the first token of each image or video in the row."""
    places = np.flatnonzero(visual)
    lengths = [visual_length(grid, merge) for grid in grids]
    if sum(lengths) != len(places):
        raise BridgeError(
            f"{len(places)} image placeholders in a row whose {len(lengths)} images "
            f"need {lengths}; expand each image to its own number of tokens"
        )
    firsts = np.cumsum([0, *lengths])[:-1]
    for first, length in zip(firsts, lengths, strict=True):
        if places[first + length - 1] - places[first] != length - 1:
            raise BridgeError("text stands inside the placeholders of one image")
    return [int(places[first]) for first in firsts]
