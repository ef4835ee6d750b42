"""Pictures to patches inside a program: `data/patches` with gradients.

What a decoder has drawn reaches the vision tower without leaving the device.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import clip
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array
from bridge_jax.models.qwen2_vl.config import VisionConfig


def to_patches(
    images: Float[Array, "B H W 3"], config: VisionConfig, length: int
) -> Float[Array, "B P I"]:
    """Normalised patches in the tower's order.

    Args:
      images: [B, H, W, 3] in [-1, 1]; resized to whole merged patches where they are
        not.
      length: P, patches a row; what the pictures do not fill is 0.

    Returns:
      float32 [B, P, 3 * temporal_patch * patch * patch].

    Raises:
      BridgeError: the pictures make more patches than `length`.
    """
    block = config.patch * config.merge
    rows, columns = (max(1, side // block) for side in images.shape[1:3])
    count = rows * columns * config.merge**2
    if count > length:
        raise BridgeError(f"a picture makes {count} patches and {length} fit")
    size = (images.shape[0], rows * block, columns * block, 3)
    pixels = (images.astype(jnp.float32) + 1) / 2
    if pixels.shape != size:
        pixels = jax.image.resize(pixels, size, "bicubic")
    mean, std = (
        jnp.reshape(jnp.asarray(x), (1, 1, 1, 3)) for x in (clip.MEAN, clip.STD)
    )
    pixels = (pixels - mean) / std
    blocks = pixels.reshape(
        size[0],
        rows,
        config.merge,
        config.patch,
        columns,
        config.merge,
        config.patch,
        3,
    )
    blocks = blocks.transpose(0, 1, 4, 2, 5, 7, 3, 6)[:, :, :, :, :, :, None]
    shape = (*blocks.shape[:6], config.temporal_patch, *blocks.shape[7:])
    made = jnp.broadcast_to(blocks, shape).reshape(size[0], count, -1)
    return jnp.pad(made, ((0, 0), (0, length - count), (0, 0)))
