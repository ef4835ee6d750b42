"""Where every token and patch stands: numpy on the host, static shapes on the device.

A grid is (frames, rows, columns) counted in patches, after temporal patching; `merge`
patches a side become one visual token.
"""

from collections.abc import Sequence

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.models.qwen2_vl.config import Config

Grids = Sequence[Sequence[int]] | np.ndarray


def mrope_positions(
    tokens: np.ndarray,
    attention_mask: np.ndarray,
    config: Config,
    image_grids: Grids = (),
    video_grids: Grids = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Three-part rotary positions (arXiv 2409.12191, section 2.1).

    Text counts on alike in all three parts; a visual token adds its frame, row and
    column to the count, and what follows starts at the largest position so far + 1.

    Args:
      tokens: [B, T] int.
      attention_mask: [B, T], 0 for padding on either side.
      config: gives the image and video pad tokens and the merge size.
      image_grids, video_grids: [n, 3], all rows' grids in order of appearance.

    Returns:
      positions int32 [3, B, T], 1 at padding, and deltas int32 [B]: slot + delta is
      the position of a text token written to that slot after the prompt.

    Raises:
      BridgeError: grids and pad tokens do not match.
    """
    tokens, real = np.asarray(tokens), np.asarray(attention_mask) != 0
    queues = {
        config.image_pad: _Queue("image", image_grids),
        config.video_pad: _Queue("video", video_grids),
    }
    positions = np.ones((3, *tokens.shape), np.int32)
    deltas = np.zeros(len(tokens), np.int32)
    for row, (ids, keep) in enumerate(zip(tokens, real, strict=True)):
        placed = _place(ids[keep], queues, config.vision.merge, row)
        positions[:, row, keep] = placed
        deltas[row] = placed.max(initial=-1) + 1 - tokens.shape[1]
    for queue in queues.values():
        queue.check_used()
    return positions, deltas


def patch_coordinates(
    grids: Grids, merge: int, length: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and frame numbers of one row's patches, in merge-window order.

    Args:
      grids: [n, 3], the row's images and videos in order of appearance.
      merge: patches a side of a visual token.
      length: pad to so many patches with zeros (segment 0); exact when None.

    Returns:
      coordinates int32 [P, 2] (row, column) and segments int32 [P], 1, 2, ... for
      each frame.

    Raises:
      BridgeError: the patches do not fit into `length`, or a grid is not a multiple
        of `merge`.
    """
    frames = []
    for count, height, width in grids:
        frames += [_windows(int(height), int(width), merge)] * int(count)
    total = sum(len(frame) for frame in frames)
    length = total if length is None else length
    if total > length:
        raise BridgeError(
            f"grids {_show(grids)} hold {total} patches, room is for {length}; "
            "shrink the pictures or raise the patch budget"
        )
    coordinates = np.zeros((length, 2), np.int32)
    segments = np.zeros(length, np.int32)
    start = 0
    for number, frame in enumerate(frames, start=1):
        coordinates[start : start + len(frame)] = frame
        segments[start : start + len(frame)] = number
        start += len(frame)
    return coordinates, segments


def image_index(tokens: np.ndarray, image_pad: int, video_pad: int) -> np.ndarray:
    """Which of its row's visual tokens each position shows: int32 [B, T], -1 for text.

    Visual tokens are numbered in order of appearance, images and videos together.
    """
    tokens = np.asarray(tokens)
    visual = (tokens == image_pad) | (tokens == video_pad)
    return np.where(visual, np.cumsum(visual, axis=1) - 1, -1).astype(np.int32)


class _Queue:
    """Grids of one kind, taken in order of appearance."""

    def __init__(self, kind: str, grids: Grids):
        self.kind, self.grids, self.taken = kind, np.asarray(grids, int), 0

    def take(self, row: int) -> np.ndarray:
        if self.taken == len(self.grids):
            raise BridgeError(
                f"row {row} shows more {self.kind}s than there are {self.kind} grids "
                f"({len(self.grids)}); pass one grid for each {self.kind}"
            )
        self.taken += 1
        return self.grids[self.taken - 1]

    def check_used(self):
        if self.taken != len(self.grids):
            raise BridgeError(
                f"{len(self.grids)} {self.kind} grids, but the tokens show only "
                f"{self.taken} {self.kind}s; drop the grid or restore its pad tokens"
            )


def _place(
    ids: np.ndarray, queues: dict[int, _Queue], merge: int, row: int
) -> np.ndarray:
    """Positions [3, n] of one row's real tokens."""
    pieces = [np.zeros((3, 0), np.int32)]
    start = index = 0
    while index < len(ids):
        queue = queues.get(int(ids[index]))
        if queue is None:
            visual = np.isin(ids[index:], list(queues))
            count = int(visual.argmax()) if visual.any() else len(ids) - index
            piece = np.tile(np.arange(count), (3, 1))
        else:
            grid = queue.take(row)
            piece = _visual_positions(grid, merge)
            found = ids[index : index + piece.shape[1]] == ids[index]
            if len(found) < piece.shape[1] or not found.all():
                raise BridgeError(
                    f"row {row}: {queue.kind} grid {_show([grid])} needs "
                    f"{piece.shape[1]} pad tokens in a row, found fewer; "
                    "was the prompt cut short?"
                )
        pieces.append(piece + start)
        start = int(pieces[-1].max()) + 1
        index += piece.shape[1]
    return np.concatenate(pieces, axis=1)


def _visual_positions(grid: np.ndarray, merge: int) -> np.ndarray:
    """Frame, row and column [3, n] of a grid's visual tokens."""
    frames, height, width = (int(n) for n in grid)
    return np.indices((frames, height // merge, width // merge)).reshape(3, -1)


def _windows(height: int, width: int, merge: int) -> np.ndarray:
    """Row and column [height * width, 2] of a frame's patches, window by window."""
    if height % merge or width % merge:
        raise BridgeError(
            f"a grid of {height} x {width} patches does not divide into {merge} x "
            f"{merge} windows; resize to a multiple of patch x merge pixels"
        )
    cells = np.indices((height, width)).reshape(
        2, height // merge, merge, width // merge, merge
    )
    return cells.transpose(1, 3, 2, 4, 0).reshape(-1, 2)


def _show(grids: Grids) -> str:
    return ", ".join("x".join(str(int(n)) for n in grid) for grid in grids)
