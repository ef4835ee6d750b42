"""A text decoder over tokens or embeddings, so that pictures can take part.

B rows of T positions.
"""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float, Int

from bridge_jax.core.types import Array
from bridge_jax.layers import decoder, rope
from bridge_jax.models.decoder_lm.config import Config, RopeScaling


class DecoderLM(nn.Module):
    """Parameters: {"llm": decoder}."""

    config: Config

    def setup(self):
        self.llm = decoder.Decoder(self.config)

    def __call__(
        self,
        tokens: Int[Array, "B T"],
        positions,
        segments: Int[Array, "B T"],
        embeddings: Float[Array, "B T D"] | None = None,
        cache=None,
        at: Int[Array, "B R"] | None = None,
    ) -> tuple[Float[Array, "B S D"], dict]:
        """Tokens to last hidden states.

        Args:
          tokens: [B, T] int.
          positions: [B, T] int, or [3, B, T] as a model with eyes is given them, of
            which the first axis counts.
          segments: [B, T] int, sequence number within the row; 0 is padding.
          embeddings: [B, T, hidden_size] in place of the tokens' own, or None.
          cache: `KVCache` to continue from, or None.
          at: [B, R] int, positions in T whose hidden states are wanted, None for all.

        Returns:
          hidden [B, T or R, hidden_size] after the final norm, and a dict of
          "embeddings" and "cache".
        """
        c = self.config
        if positions.ndim == 3:
            positions = positions[0]
        if embeddings is None:
            embeddings = self.llm.embed(tokens)
        turning = rope.turns(positions, frequencies(c))
        hidden, cache = self.llm(embeddings, turning, segments, cache, at)
        return hidden, {"embeddings": embeddings, "cache": cache}

    def embed(self, tokens: Int[Array, "*B"]) -> Float[Array, "*B D"]:
        """tokens [...] int -> [..., hidden_size]."""
        return self.llm.embed(tokens)

    def logits(self, hidden: Float[Array, "B T D"]) -> Float[Array, "B T V"]:
        """hidden [B, T, hidden_size] -> float32 [B, T, vocab]."""
        return self.llm.logits(hidden)


def frequencies(config: Config) -> Float[Array, " half"]:
    """Rotary frequencies, float32 [head_dim / 2], scaled where the config says so."""
    plain = rope.frequencies(config.head_dim, config.theta)
    return plain if config.scaling is None else scaled(plain, config.scaling)


def scaled(plain: Float[Array, " half"], scaling: RopeScaling) -> Float[Array, " half"]:
    """LLaMA-3.1's frequencies of plain ones [D/2]; see `RopeScaling`."""
    waves = 2 * math.pi / plain
    share = (scaling.original / waves - scaling.low) / (scaling.high - scaling.low)
    share = jnp.clip(share, 0.0, 1.0)  # of the unscaled frequency
    return (1 - share) * plain / scaling.factor + share * plain
