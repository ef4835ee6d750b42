"""Tower, connector and decoder joined, called as `qwen2_vl.Qwen2VL` is.

But for its `to_patches`: what is drawn cannot be looked at again. B rows of T text
positions and P patches; N visual tokens a row.
"""

import flax.linen as nn
from jaxtyping import Float, Int

from bridge_jax.core import rooms
from bridge_jax.core.types import Array
from bridge_jax.layers import decoder, rope
from bridge_jax.models.decoder_lm.model import frequencies
from bridge_jax.models.llava.config import ROOM, Config
from bridge_jax.models.qwen2_vl.model import insert


class Llava(nn.Module):
    """Parameters: {"vision": tower, "connector": ..., "llm": decoder}."""

    config: Config

    def setup(self):
        c = self.config
        tower = rooms.load(f"{ROOM}.towers", c.tower, "Tower", "tower")
        where = f"{ROOM}.connectors"
        connector = rooms.load(where, c.connector, "Connector", "connector")
        self.vision = tower(c.seen)
        self.connector = connector(c)
        self.llm = decoder.Decoder(c.llm)

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
          tokens: [B, T] int; any token stands where a visual token goes.
          positions: [3, B, T] int; the decoder turns by the first axis alone, which
            counts words and visual tokens alike (`processor.Config.positions`).
          segments, patches, coordinates, patch_segments, image_index, cache, at: as
            in `Qwen2VL`.

        Returns:
          hidden [B, T or R, D] after the final norm, and a dict of named intermediates:
          "visual" [B, N, D] (absent for text alone), "embeddings" [B, T, D], "cache".
        """
        out = {}
        if patches is None and self.is_initializing():
            self.visual(*self.config.nothing())  # text alone makes all parameters
        embeddings = self.llm.embed(tokens)
        if patches is not None:
            out["visual"] = self.visual(patches, coordinates, patch_segments)
            embeddings = insert(embeddings, out["visual"], image_index)
        out["embeddings"] = embeddings
        rotary = rope.turns(positions[0], frequencies(self.config.llm))
        hidden, out["cache"] = self.llm(embeddings, rotary, segments, cache, at)
        return hidden, out

    def features(
        self,
        patches: Float[Array, "B P I"],
        coordinates: Int[Array, "B P 2"],
        patch_segments: Int[Array, "B P"],
    ) -> Float[Array, "B N O"]:
        """What the tower says: [B, N, width]."""
        return self.vision(patches, coordinates, patch_segments)

    def visual(
        self,
        patches: Float[Array, "B P I"],
        coordinates: Int[Array, "B P 2"],
        patch_segments: Int[Array, "B P"],
    ) -> Float[Array, "B N D"]:
        """Visual tokens in the decoder's own space: [B, N, D]."""
        seen = self.features(patches, coordinates, patch_segments)
        return self.connector(seen, self.llm.embed)

    def affinities(
        self,
        patches: Float[Array, "B P I"],
        coordinates: Int[Array, "B P 2"],
        patch_segments: Int[Array, "B P"],
    ) -> Float[Array, "B N W"]:
        """How much of each word is in each visual token: float32 [B, N, W].

        Of a langbridge, the coefficients of its words; of any other connector, cosines
        with the whole vocabulary.
        """
        seen = self.features(patches, coordinates, patch_segments)
        return self.connector.affinities(seen, self.llm.embed)

    def logits(self, hidden: Float[Array, "B T D"]) -> Float[Array, "B T V"]:
        """hidden [B, T, D] -> float32 [B, T, vocab]."""
        return self.llm.logits(hidden)
