"""Scaled dot-product attention, head-major.

[B, H, T, D] rather than [B, T, H, D]: on CPU the latter is three times slower, and on
TPU both compile to the same program.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from bridge_jax.core.types import Array
from bridge_jax.layers import products, query_blocks


def split_heads(x: Float[Array, "B T HD"], heads: int) -> Float[Array, "B H T D"]:
    """[B, T, H*D] -> [B, H, T, D]."""
    batch, length, width = x.shape
    return x.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)


def merge_heads(x: Float[Array, "B H T D"]) -> Float[Array, "B T HD"]:
    """[B, H, T, D] -> [B, T, H*D]."""
    batch, heads, length, width = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, length, heads * width)


def attend(
    q: Float[Array, "B H T D"],
    k: Float[Array, "B K S D"] | Float[Array, "B K D S"],
    v: Float[Array, "B K S D"],
    *,
    mask: Bool[Array, "#B #H #T #S"] | None = None,
    bias: Float[Array, "#B #H #T #S"] | None = None,
    scale: float | None = None,
    turned: bool = False,
    causal: bool = False,
) -> Float[Array, "B H T D"]:
    """softmax(q k^T * scale + bias) v with the softmax in float32.

    Args:
      q: [B, H, T, D].
      k, v: [B, K, S, D] with K dividing H (grouped-query attention).
      mask: bool, broadcastable [B, H, T, S], True where attention is allowed. A row
        with nothing allowed attends uniformly, as additive masks with the smallest
        float do in the references.
      bias: float, broadcastable [B, H, T, S].
      scale: multiplies the scores; D**-0.5 when None.
      turned: k is [B, K, D, S], as a cache keeps it.
      causal: S is T and `mask` allows no key after its query. A row with nothing
        allowed then attends to some earlier and later keys, uniformly.

    Returns:
      [B, H, T, D] in q's dtype.
    """
    scale = q.shape[3] ** -0.5 if scale is None else scale
    blocks = query_blocks.edges(q.shape[2], v.shape[2], causal)
    if len(blocks) == 1:
        return _attend(q, k, v, mask, bias, scale, turned)
    made = []
    for start, end in blocks:
        seen = end if causal else v.shape[2]
        made.append(
            _attend(
                q[:, :, start:end],
                k[..., :seen] if turned else k[:, :, :seen],
                v[:, :, :seen],
                _cut(mask, start, end, seen),
                _cut(bias, start, end, seen),
                scale,
                turned,
            )
        )
    return jnp.concatenate(made, axis=2)


def _cut(x: jax.Array | None, start: int, end: int, seen: int) -> jax.Array | None:
    """Those of [#B, #H, #T, #S] that are of some queries and of the first keys."""
    if x is None:
        return None
    x = x if x.shape[2] == 1 else x[:, :, start:end]
    return x if x.shape[3] == 1 else x[..., :seen]


def _attend(q, k, v, mask, bias, scale: float, turned: bool) -> jax.Array:
    batch, heads, length, width = q.shape
    groups = heads // k.shape[1]
    if groups > 1:
        # The query heads of one key/value head become extra query rows: no copies.
        q = q.reshape(batch, k.shape[1], groups * length, width)
    if turned:
        both = "bhtd,bhds->bhts"
        scores = jnp.einsum(both, q, k, preferred_element_type=jnp.float32)
    else:
        scores = products.of_rows(q, k)
    scores = scores.reshape(batch, heads, length, v.shape[2])
    if scale != 1.0:
        scores = scores * scale
    if bias is not None:
        scores = scores + bias.astype(jnp.float32)
    if mask is not None:
        scores = jnp.where(mask, scores, jnp.finfo(jnp.float32).min)
    if groups > 1:
        scores = scores.reshape(batch, k.shape[1], groups * length, v.shape[2])
    return mix(scores, v).reshape(batch, heads, length, v.shape[-1])


def mix(
    scores: Float[Array, "*N T S"],
    v: Float[Array, "*N S D"],
    drop: Callable[[jax.Array], jax.Array] = lambda weights: weights,
) -> Float[Array, "*N T D"]:
    """softmax(scores) v, of float32 scores, in v's dtype.

    Divided by the sum of weights is what they mix, not each of them: T x D numbers for
    T x S, forwards and backwards.

    Args:
      drop: dropout of weights; their sum is that of all.
    """
    best = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
    weights = jnp.exp(scores - best)
    total = jnp.sum(weights, axis=-1, keepdims=True)
    mixed = products.product(drop(weights.astype(v.dtype)), v)
    return (mixed.astype(jnp.float32) / total).astype(v.dtype)
