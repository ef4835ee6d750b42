"""Retrieval heads (OmniBridge, arXiv 2509.19018).

The learned queries of a modality run through the aligner with the projected states as
memory; the aligner's output and the states themselves ("backbone" branch) are pooled
separately and fused by a learned scalar.

Axes: B batch, Q learned queries, S memory positions, D aligner width, E embedding.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.layers import linear
from bridge_jax.models.retrieval.config import Config
from bridge_jax.models.retrieval.pool import AttentionPool


class RetrievalHeads(nn.Module):
    """Queries, four pooling blocks, two fusion scalars and a log temperature."""

    config: Config

    def setup(self):
        c = self.config
        self.image_queries = self._queries("image_queries", c.image_queries)
        self.text_queries = self._queries("text_queries", c.text_queries)
        self.image_pool, self.image_backbone_pool = AttentionPool(c), AttentionPool(c)
        self.text_pool, self.text_backbone_pool = AttentionPool(c), AttentionPool(c)
        self.image_alpha = self._scalar("image_alpha", 0.0)
        self.text_alpha = self._scalar("text_alpha", 0.0)
        # A log temperature, initially that of CLIP (Radford et al. 2021).
        self.logit_scale = self._scalar("logit_scale", math.log(1 / 0.07))

    def __call__(
        self,
        image_aligner: Float[Array, "B Q D"],
        image_states: Float[Array, "B S D"],
        image_mask: Shaped[Array, "B S"],
        text_aligner: Float[Array, "B R D"],
        text_states: Float[Array, "B T D"],
        text_mask: Shaped[Array, "B T"],
    ) -> tuple[Float[Array, "B E"], Float[Array, "B E"], Float[Array, " 1"]]:
        """Both embeddings [B, E] and the log temperature [1]; makes every parameter.

        The queries themselves are read by the caller, who runs them through the
        aligner first.
        """
        image = self.embed_image(image_aligner, image_states, image_mask)
        text = self.embed_text(text_aligner, text_states, text_mask)
        return image, text, self.logit_scale

    def embed_image(
        self,
        aligner_out: Float[Array, "B Q D"],
        projected_states: Float[Array, "B S D"],
        mask: Shaped[Array, "B S"],
    ) -> Float[Array, "B E"]:
        """aligner_out [B, Q, D], projected_states [B, S, D], mask [B, S] -> [B, E].

        The result has length 1 and is float32; `mask` marks the image tokens.
        """
        return fuse(
            self.image_alpha,
            self.image_pool(aligner_out),
            self.image_backbone_pool(projected_states, self._pool_mask(mask)),
        )

    def embed_text(
        self,
        aligner_out: Float[Array, "B Q D"],
        projected_states: Float[Array, "B S D"],
        mask: Shaped[Array, "B S"],
    ) -> Float[Array, "B E"]:
        """As `embed_image`, for captions; `mask` marks the caption tokens."""
        return fuse(
            self.text_alpha,
            self.text_pool(aligner_out),
            self.text_backbone_pool(projected_states, self._pool_mask(mask)),
        )

    def _pool_mask(self, mask: jax.Array) -> jax.Array | None:
        return mask.astype(bool) if self.config.mask_padding else None

    def _queries(self, name: str, number: int) -> jax.Array:
        return linear.param(
            self,
            name,
            nn.initializers.normal(0.02),
            (number, self.config.d_model),
            ("queries", "embed"),
            types.dtype(self.config.param_dtype),
        )

    def _scalar(self, name: str, value: float) -> jax.Array:
        # float32 at every size: a temperature in bfloat16 moves in steps of 1 %.
        return linear.param(self, name, nn.initializers.constant(value), (1,), (None,))


def fuse(
    alpha: Float[Array, " 1"],
    aligner: Float[Array, "B E"],
    backbone: Float[Array, "B E"],
) -> Float[Array, "B E"]:
    """Mix two branches [B, E] with weight sigmoid(alpha [1]), each of length 1."""
    share = jax.nn.sigmoid(alpha.astype(jnp.float32))[None]
    return normalise(share * normalise(aligner) + (1 - share) * normalise(backbone))


def normalise(x: Float[Array, "*B E"]) -> Float[Array, "*B E"]:
    """x / max(|x|, 1e-12) over the last axis in float32; finite gradient at 0."""
    x = x.astype(jnp.float32)
    square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, 1e-24))
