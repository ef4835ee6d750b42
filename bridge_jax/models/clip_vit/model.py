"""CLIP's vision tower, up to the layer that is read.

B pictures of P patches, D width.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.layers import activations, attention, linear, norm, patch_width, shared
from bridge_jax.models.clip_vit.config import Config


def _dtypes(config: Config) -> dict:
    return {
        "dtype": types.dtype(config.dtype),
        "param_dtype": types.dtype(config.param_dtype),
    }


class Block(nn.Module):
    """Pre-norm attention and MLP, with biases."""

    config: Config

    def setup(self):
        c = self.config
        dense = functools.partial(linear.Dense, use_bias=True, **_dtypes(c))
        self.attention_norm = norm.LayerNorm(c.eps, **_dtypes(c))
        self.query = dense(c.hidden, axes=("embed", "heads"))
        self.key = dense(c.hidden, axes=("embed", "heads"))
        self.value = dense(c.hidden, axes=("embed", "heads"))
        self.out = dense(c.hidden, axes=("heads", "embed"))
        self.mlp_norm = norm.LayerNorm(c.eps, **_dtypes(c))
        self.up = dense(c.ffn, axes=("embed", "mlp"))
        self.down = dense(c.hidden, axes=("mlp", "embed"))

    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        """x [B, 1 + P, D] -> [B, 1 + P, D]."""
        c = self.config
        normed = self.attention_norm(x)
        q, k, v = (
            attention.split_heads(layer(normed), c.heads)
            for layer in (self.query, self.key, self.value)
        )
        x = x + self.out(attention.merge_heads(attention.attend(q, k, v)))
        inner = activations.named(c.activation)(self.up(self.mlp_norm(x)))
        return linear.constrain(x + self.down(inner), ("batch", "seq", "embed"))


class ClipViT(nn.Module):
    """Pictures to patch features; the class token takes part and is dropped."""

    config: Config

    def setup(self):
        c = self.config
        self.patch_embed = linear.Dense(c.hidden, axes=(None, "embed"), **_dtypes(c))
        param = functools.partial(linear.param, self, dtype=types.dtype(c.param_dtype))
        init = nn.initializers.normal(0.02)
        self.class_token = param("class_token", init, (c.hidden,), ("embed",))
        shape = (c.patches + 1, c.hidden)
        self.position = param("position", init, shape, (None, "embed"))
        self.first_norm = norm.LayerNorm(c.eps, **_dtypes(c))
        self.layers = [Block(c) for _ in range(c.layers)]
        self.last_norm = norm.LayerNorm(c.eps, **_dtypes(c))

    def __call__(self, images: Float[Array, "B H W 3"]) -> Float[Array, "B P D"]:
        """Normalised pictures [B, image, image, 3] -> features [B, P, D].

        After layer `select`; CLIP's last norm, for its class token, is not applied.
        """
        return self.look(_patches(images, self.config.patch))

    def look(self, patches: Float[Array, "B P I"]) -> Float[Array, "B P D"]:
        """`__call__` for patches [B, P, 3 * patch^2], row by row, channel first.

        Raises BridgeError for patches of another width.
        """
        patch_width.check(patches, self.config.channels * self.config.patch**2)
        states = self._states(patches)
        if self.is_initializing():
            # The last norm is not on this path, and must exist.
            self.last_norm(states[-1][:, 0])
        return states[self.config.select][:, 1:]

    def states(self, images: Float[Array, "B H W 3"]) -> list[jax.Array]:
        """The input of the first layer and the output of each: [B, 1 + P, D]."""
        return self._states(_patches(images, self.config.patch))

    def _states(self, patches: jax.Array) -> list[jax.Array]:
        c = self.config
        x = self.patch_embed(patches)
        first = jnp.broadcast_to(
            self.class_token.astype(x.dtype)[None, None], (len(x), 1, c.hidden)
        )
        x = jnp.concatenate([first, x], axis=1)
        x = self.first_norm(shared.add(x, self.position[None]))
        found = [x]
        for layer in self.layers:
            found.append(layer(found[-1]))
        return found

    def pooled(self, images: Float[Array, "B H W 3"]) -> Float[Array, "B D"]:
        """The normed class token [B, D], what CLIP's own projection reads."""
        return self.last_norm(self.states(images)[-1][:, 0])


def _patches(images: jax.Array, side: int) -> jax.Array:
    """[B, h, w, C] -> [B, P, C * side^2], channel first, as a flattened kernel is."""
    batch, height, width, channels = images.shape
    grid = images.reshape(
        batch, height // side, side, width // side, side, channels
    ).transpose(0, 1, 3, 5, 2, 4)
    return grid.reshape(batch, -1, channels * side * side)
