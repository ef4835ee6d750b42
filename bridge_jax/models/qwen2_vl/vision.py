"""The vision tower: packed patches in, merged visual tokens out.

B rows of P patches; a row may hold several images and video frames side by side.
N = P / merge^2 visual tokens, D = tower width, h = head width.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float, Int, Num

from bridge_jax.core.types import Array, dtype
from bridge_jax.layers import (
    activations,
    attention,
    linear,
    norm,
    packed,
    patch_width,
    rope,
    stack,
)
from bridge_jax.models.qwen2_vl.config import Config


class Attention(nn.Module):
    """Multi-head attention with one fused qkv projection, as released."""

    config: Config

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B P D"],
        cos: Float[Array, "B 1 P W"],
        sin: Float[Array, "B 1 P W"],
        mask,
    ) -> Float[Array, "B P D"]:
        """x [B, P, D], cos/sin [B, 1, P, h], mask from `packed.sight` -> [B, P, D]."""
        vision = self.config.vision
        qkv = _dense(self.config, 3 * vision.dim, ("embed", "heads"), "qkv")(x)
        q, k, v = (
            attention.split_heads(part, vision.heads)
            for part in jnp.split(qkv, 3, axis=-1)
        )
        q, k = rope.apply_half(q, cos, sin), rope.apply_half(k, cos, sin)
        x = packed.attend(q, k, v, mask, kernel=self.config.attention)
        x = attention.merge_heads(x)
        return _dense(self.config, vision.dim, ("heads", "embed"), "out")(x)


class MLP(nn.Module):
    """Linear, quick GELU, linear."""

    config: Config

    @nn.compact
    def __call__(self, x: Float[Array, "B P D"]) -> Float[Array, "B P D"]:
        """x [B, P, D] -> [B, P, D]."""
        vision = self.config.vision
        width = vision.mlp_ratio * vision.dim
        x = activations.quick_gelu(
            _dense(self.config, width, ("embed", "mlp"), "up")(x)
        )
        return _dense(self.config, vision.dim, ("mlp", "embed"), "down")(x)


class Block(nn.Module):
    """Pre-norm attention and MLP."""

    config: Config

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B P D"],
        cos: Float[Array, "B 1 P W"],
        sin: Float[Array, "B 1 P W"],
        mask,
    ) -> Float[Array, "B P D"]:
        """x [B, P, D] -> [B, P, D]."""
        attend = Attention(self.config, name="attention")
        x = x + attend(_norm(self.config, "attention_norm")(x), cos, sin, mask)
        x = x + MLP(self.config, name="mlp")(_norm(self.config, "mlp_norm")(x))
        return linear.constrain(x, ("batch", "seq", "embed"))


class Merger(nn.Module):
    """Each merge x merge window of patches becomes one token of the LLM's width."""

    config: Config

    @nn.compact
    def __call__(self, x: Float[Array, "B P I"]) -> Float[Array, "B N D"]:
        """x [B, P, D] -> [B, N, hidden]; merge^2 consecutive patches are a window."""
        config = self.config
        width = config.vision.merge**2 * config.vision.dim
        x = _norm(config, "norm")(x).reshape(x.shape[0], -1, width)
        x = activations.gelu_exact(_dense(config, width, ("embed", "mlp"), "up")(x))
        return _dense(config, config.hidden_size, ("mlp", "embed"), "down")(x)


class VisionTower(nn.Module):
    """Patches at native resolution to visual tokens (arXiv 2409.12191, section 2)."""

    config: Config

    @nn.compact
    def __call__(
        self,
        patches: Float[Array, "B P I"],
        coordinates: Int[Array, "B P 2"],
        segments: Int[Array, "B P"],
    ) -> Float[Array, "B N D"]:
        """Encode packed rows; a patch sees only the patches of its own frame.

        Args:
          patches: [B, P, patch_dim] float, normalised pixels flattened as (channel,
            frame, row, column), in merge-window order.
          coordinates: [B, P, 2] int, row and column in the patch's own grid.
          segments: [B, P] int, a number for each frame in the row; 0 is padding.

        Returns:
          [B, P / merge^2, hidden_size]; tokens made of padding are meaningless.

        Raises:
          BridgeError: patches of another width.
        """
        config, vision = self.config, self.config.vision
        patch_width.check(patches, vision.patch_dim)
        x = patches.astype(dtype(config.dtype))
        x = linear.Dense(
            vision.dim,
            axes=("patch", "embed"),
            dtype=dtype(config.dtype),
            param_dtype=dtype(config.param_dtype),
            name="patch_embed",
        )(x)
        x = linear.constrain(x, ("batch", "seq", "embed"))
        cos, sin = axial_rotary(coordinates, vision.head_dim, vision.theta)
        mask = packed.sight(segments, causal=False, kernel=config.attention)
        block = stack.remat(Block, config.remat, config.scan)
        blocks = [block(config, name=f"blocks_{i}") for i in range(vision.depth)]

        def step(block, x, _):
            return block(x, cos, sin, mask), None

        x, _ = stack.fold(step, blocks, x, scan=config.scan, dtype=config.dtype)
        return Merger(config, name="merger")(x)


def axial_rotary(
    coordinates: Num[Array, "B P 2"], head_dim: int, theta: float
) -> tuple[Float[Array, "B 1 P D"], Float[Array, "B 1 P D"]]:
    """cos and sin [B, 1, P, head_dim] of 2-D positions [B, P, 2], half-split layout.

    The first half of the rotated pairs turns with the row, the second with the column.
    """
    freqs = rope.frequencies(head_dim // 2, theta)
    angles = coordinates.astype(jnp.float32)[..., None] * freqs[None, None, None]
    angles = angles.reshape(*coordinates.shape[:2], head_dim // 2)
    angles = jnp.concatenate([angles, angles], axis=-1)[:, None]
    return jnp.cos(angles), jnp.sin(angles)


def _dense(config: Config, features: int, axes: tuple[str, str], name: str):
    return linear.Dense(
        features,
        axes=axes,
        use_bias=True,
        dtype=dtype(config.dtype),
        param_dtype=dtype(config.param_dtype),
        name=name,
    )


def _norm(config: Config, name: str):
    return norm.LayerNorm(
        config.vision.eps,
        dtype=dtype(config.dtype),
        param_dtype=dtype(config.param_dtype),
        name=name,
    )
