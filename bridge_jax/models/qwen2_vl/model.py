"""Qwen2-VL: vision tower and language model joined, with static shapes.

B rows of T text positions and P patches; N visual tokens a row.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float, Int

from bridge_jax.core.types import Array
from bridge_jax.layers import decoder
from bridge_jax.models.qwen2_vl import pixels
from bridge_jax.models.qwen2_vl.config import Config
from bridge_jax.models.qwen2_vl.rotary import mrope
from bridge_jax.models.qwen2_vl.vision import VisionTower


class Qwen2VL(nn.Module):
    """Parameters: {"vision": tower, "llm": decoder}."""

    config: Config

    def setup(self):
        self.vision = VisionTower(self.config)
        self.llm = decoder.Decoder(self.config)

    def __call__(
        self,
        tokens: Int[Array, "B T"],
        positions,
        segments: Int[Array, "B T"],
        patches: Float[Array, "B P I"] | None = None,
        coordinates: Int[Array, "B P 2"] | None = None,
        patch_segments: Int[Array, "B P"] | None = None,
        image_index: Int[Array, "B T"] | None = None,
        cache=None,
        at: Int[Array, "B R"] | None = None,
    ):
        """Text and pictures to last hidden states.

        Args:
          tokens: [B, T] int; a pad token of the image or video kind stands where a
            visual token goes.
          positions: [3, B, T] int: frame, row and column (arXiv 2409.12191, section
            2.1); alike on text.
          segments: [B, T] int, sequence number within the row; 0 is padding.
          patches: [B, P, patch_dim] float, or None for text alone.
          coordinates: [B, P, 2] int, each patch's row and column; patches stand block
            by block, merge x merge of them joining into one visual token.
          patch_segments: [B, P] int, frame number within the row; 0 is padding.
          image_index: [B, T] int, which of the row's visual tokens stands here, or -1.
          cache: `KVCache` to continue from, or None.
          at: [B, R] int, positions in T whose hidden states are wanted, None for all.

        Returns:
          hidden [B, T or R, hidden_size] after the final norm, and a dict of named
          intermediates: "visual" [B, N, hidden_size] (absent for text alone),
          "embeddings" [B, T, hidden_size] and "cache".
        """
        out = {}
        if patches is None and self.is_initializing():
            self.vision(*_nothing_to_see(self.config))
        embeddings = self.llm.embed(tokens)
        if patches is not None:
            out["visual"] = self.vision(patches, coordinates, patch_segments)
            embeddings = insert(embeddings, out["visual"], image_index)
        out["embeddings"] = embeddings
        c = self.config
        rotary = mrope(positions, c.head_dim, c.theta, c.mrope_sections)
        hidden, out["cache"] = self.llm(embeddings, rotary, segments, cache, at)
        return hidden, out

    def to_patches(
        self, images: Float[Array, "B H W 3"], length: int
    ) -> Float[Array, "B P I"]:
        """Pictures [B, H, W, 3] in [-1, 1] -> the tower's patches; see `pixels`."""
        return pixels.to_patches(images, self.config.vision, length)

    def logits(self, hidden: Float[Array, "B T D"]) -> Float[Array, "B T V"]:
        """hidden [B, T, hidden_size] -> float32 [B, T, vocab]."""
        return self.llm.logits(hidden)


def insert(
    embeddings: Float[Array, "B T D"],
    visual: Float[Array, "B N D"],
    image_index: Int[Array, "B T"],
) -> Float[Array, "B T D"]:
    """Replace text embeddings by visual tokens where `image_index` is not -1.

    embeddings [B, T, D], visual [B, N, D], image_index [B, T] int -> [B, T, D].
    """
    chosen = jnp.take_along_axis(
        visual, jnp.maximum(image_index, 0)[..., None], axis=1, mode="clip"
    )
    return jnp.where(
        (image_index >= 0)[..., None], chosen.astype(embeddings.dtype), embeddings
    )


def _nothing_to_see(config: Config):
    """One window of padding: text alone must initialise the tower as well."""
    count = config.vision.merge**2
    return (
        jnp.zeros((1, count, config.vision.patch_dim)),
        jnp.zeros((1, count, 2), jnp.int32),
        jnp.zeros((1, count), jnp.int32),
    )
