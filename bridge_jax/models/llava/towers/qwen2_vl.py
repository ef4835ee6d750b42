"""Qwen2-VL's tower: native resolution, four patches to one token."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Float, Int

from bridge_jax.core.types import Array
from bridge_jax.models.qwen2_vl import config as config_lib
from bridge_jax.models.qwen2_vl import vision


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The tower by itself: all of a Qwen2-VL's config that it reads.

    Attributes:
      hidden_size: of its merger's output, which is its features' width.
    """

    hidden_size: int
    vision: config_lib.VisionConfig = config_lib.VisionConfig()
    dtype: str = "float32"
    param_dtype: str = "float32"
    attention: str = "xla"
    remat: str = "none"
    scan: bool = False


def width(sizes: Config) -> int:
    """Of the features."""
    return sizes.hidden_size


def nothing(
    sizes: Config,
) -> tuple[Float[Array, "B P I"], Int[Array, "B P 2"], Int[Array, "B P"]]:
    """The least there is to see: one window of padding."""
    count = sizes.vision.merge**2
    return (
        jnp.zeros((1, count, sizes.vision.patch_dim)),
        jnp.zeros((1, count, 2), jnp.int32),
        jnp.zeros((1, count), jnp.int32),
    )


class Tower(vision.VisionTower):
    """Parameters: those of `qwen2_vl.VisionTower`."""
