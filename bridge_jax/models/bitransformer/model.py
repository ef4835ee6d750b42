"""The query-embedding aligner ("BiLM", OmniBridge, arXiv 2509.19018).

Axes: B batch, L aligner positions, S memory positions, D model width.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Shaped

from bridge_jax.core import types
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array
from bridge_jax.layers import linear, t5
from bridge_jax.models.bitransformer.config import Config


class BiTransformer(nn.Module):
    """Bidirectional T5 stack that reads projected language-model states."""

    config: Config

    def setup(self):
        c = self.config
        # Small, so that the queries turn quickly; the first norm undoes the scale.
        self.query_tokens = linear.param(
            self,
            "query_tokens",
            nn.initializers.normal(0.02),
            (c.queries, c.d_model),
            ("queries", "embed"),
            types.dtype(c.param_dtype),
        )
        self.stack = t5.Stack(c, c.cross_layers)
        nn.share_scope(self, self.stack)  # layers_0, not stack/layers_0

    def __call__(
        self,
        embeddings: Float[Array, "B L D"],
        memory: Float[Array, "B S D"],
        memory_mask: Shaped[Array, "B S"] | None = None,
        mask: Shaped[Array, "B L"] | None = None,
        replace: Bool[Array, "B L"] | None = None,
        deterministic: bool = True,
    ) -> Float[Array, "B L D"]:
        """Align embeddings with a memory.

        Args:
          embeddings: [B, L, D], text-encoder input embeddings or retrieval queries.
          memory: [B, S, D] projected states; not normalised before keys and values.
          memory_mask: [B, S], 1 or True where the memory holds something; a row with
            nothing gets the uniform average of its memory's values.
          mask: [B, L], the same for `embeddings`; None attends everywhere, which is
            what the text-conditioned uses do.
          replace: bool [B, L], positions whose embedding the learned query token of
            that position replaces; None uses no query tokens and allows any L.
          deterministic: False draws dropout from the "dropout" rng.

        Returns:
          [B, L, D].

        Raises:
          BridgeError: `replace` given and L is not the number of query tokens.
        """
        if replace is not None:
            embeddings = self._insert_queries(embeddings, replace)
        return self.stack(embeddings, mask, memory, memory_mask, deterministic)

    def _insert_queries(self, embeddings: jax.Array, replace: jax.Array) -> jax.Array:
        queries, length = self.config.queries, embeddings.shape[1]
        if length != queries:
            raise BridgeError(
                f"aligner: {length} positions but {queries} query tokens; "
                f"pad the text to {queries} or pass replace=None"
            )
        tokens = self.query_tokens.astype(embeddings.dtype)[None]
        return jnp.where(replace[:, :, None], tokens, embeddings)
