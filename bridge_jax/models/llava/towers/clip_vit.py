"""CLIP's tower: every frame is a square of one size, and is seen by itself."""

import jax.numpy as jnp
from jaxtyping import Float, Int

from bridge_jax.core.types import Array
from bridge_jax.models.clip_vit import config as config_lib
from bridge_jax.models.clip_vit import model as clip_vit


def width(sizes: config_lib.Config) -> int:
    """Of the features."""
    return sizes.hidden


def nothing(
    sizes: config_lib.Config,
) -> tuple[Float[Array, "B P I"], Int[Array, "B P 2"], Int[Array, "B P"]]:
    """The least there is to see: one black frame."""
    count = sizes.patches
    return (
        jnp.zeros((1, count, sizes.channels * sizes.patch**2)),
        jnp.zeros((1, count, 2), jnp.int32),
        jnp.ones((1, count), jnp.int32),
    )


class Tower(clip_vit.ClipViT):
    """Parameters: those of `ClipViT`."""

    def __call__(
        self,
        patches: Float[Array, "B P I"],
        coordinates: Int[Array, "B P 2"],
        segments: Int[Array, "B P"],
    ) -> Float[Array, "B P D"]:
        """[B, P, D] -> [B, P, hidden]; P is a whole number of frames.

        A frame's patches run row by row, so that nothing has to be told of where they
        stand; what frames of padding say is meaningless.
        """
        del coordinates, segments
        frames = patches.reshape(-1, self.config.patches, patches.shape[-1])
        return self.look(frames).reshape(*patches.shape[:2], self.config.hidden)
