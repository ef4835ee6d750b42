"""What the tower is shown: patches of a row back to pictures."""

import numpy as np

from bridge_jax.core import clip


def frames(
    patches: np.ndarray, coordinates: np.ndarray, segments: np.ndarray, patch: int
) -> list[np.ndarray]:
    """Each frame of a row, uint8 [h, w, 3] as it was before it was normalised.

    Args:
      patches: [P, 3 * temporal * patch * patch] float32, of `patches.to_patches`.
      coordinates: [P, 2] int32, rows and columns in the grid.
      segments: [P] int32, number of the frame, 0 on padding.
    """
    found = []
    for number in range(1, int(segments.max(initial=0)) + 1):
        mine = segments == number
        rows, columns = coordinates[mine].T
        values = patches[mine].reshape(len(rows), 3, -1, patch, patch)[:, :, 0]
        scale = (
            np.asarray(clip.STD)[:, None, None],
            np.asarray(clip.MEAN)[:, None, None],
        )
        pixels = np.rint((values * scale[0] + scale[1]) * 255)
        grid = np.zeros((rows.max() + 1, columns.max() + 1, patch, patch, 3), np.uint8)
        grid[rows, columns] = pixels.clip(0, 255).transpose(0, 2, 3, 1)
        tall, wide = grid.shape[:2]
        found.append(grid.swapaxes(1, 2).reshape(tall * patch, wide * patch, 3))
    return found
