"""No tower: features come with the batch, made elsewhere or by hand."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float, Int

from bridge_jax.core.types import Array
from bridge_jax.layers import patch_width


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What comes with the batch.

    Attributes:
      features: width of what is given.
    """

    features: int


def width(sizes: Config) -> int:
    """Of the features."""
    return sizes.features


def nothing(
    sizes: Config,
) -> tuple[Float[Array, "B P I"], Int[Array, "B P 2"], Int[Array, "B P"]]:
    """The least there is to see: one token of zeros."""
    return (
        jnp.zeros((1, 1, sizes.features)),
        jnp.zeros((1, 1, 2), jnp.int32),
        jnp.zeros((1, 1), jnp.int32),
    )


class Tower(nn.Module):
    """Parameters: none."""

    config: Config

    def __call__(
        self,
        patches: Float[Array, "B P I"],
        coordinates: Int[Array, "B P 2"],
        segments: Int[Array, "B P"],
    ) -> Float[Array, "B P I"]:
        """[B, N, features] as it is; one visual token for each.

        Raises BridgeError for features of another width.
        """
        del coordinates, segments
        patch_width.check(patches, self.config.features)
        return patches
