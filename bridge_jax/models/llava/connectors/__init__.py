"""From what is seen to the decoder's input, one file a connector.

A `Connector(config)` turns features [B, N, width of the tower] into visual tokens
[B, N, D]; `embed`, ids [n] -> [n, D], is the decoder's own table. Its `affinities`
says how much of each word is in each token, float32 [B, N, words].
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array

Embed = Callable[[jax.Array], jax.Array]


def cosines(
    tokens: Float[Array, "B N D"], embed: Embed, vocab: int
) -> Float[Array, "B N V"]:
    """Of visual tokens [B, N, D] with all `vocab` embeddings: float32 [B, N, vocab].

    What there is to say of a connector that combines no words.
    """
    table = embed(jnp.arange(vocab))
    ours, theirs = (_of_length_one(x.astype(jnp.float32)) for x in (tokens, table))
    return ours @ theirs.T


def _of_length_one(x: jax.Array) -> jax.Array:
    length = jnp.linalg.norm(x, axis=-1, keepdims=True)
    return x / jnp.maximum(length, jnp.finfo(x.dtype).tiny)
