"""LatentUMM's losses (arXiv 2605.17766): do the maps around a latent space agree?

Each returns (value_sum, weight), float32 scalars; rows are weighed alike. Gradients
flow through both sides, as released.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import term
from bridge_jax.core.types import Array


def distance(a: Float[Array, "B D"], b: Float[Array, "B D"]) -> term.Pair:
    """Mean squared difference of a and b, [B, D], summed over rows; weight = B.

    The modal loss of a text's latent and its image's, the task loss of a latent and
    what comes back of it, the target loss of what was generated and a teacher's.
    """
    difference = a.astype(jnp.float32) - b.astype(jnp.float32)
    rows = jnp.mean(jnp.square(difference), axis=-1)
    return jnp.sum(rows), jnp.float32(rows.shape[0])


def cosine(
    a: Float[Array, "*#B D"], b: Float[Array, "*#B D"], eps: float = 1e-8
) -> Float[Array, "..."]:
    """Cosine of a and b, [..., D] and broadcast -> float32 [...]."""
    a, b = a.astype(jnp.float32), b.astype(jnp.float32)
    lengths = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
    return jnp.sum(a * b, axis=-1) / jnp.maximum(lengths, eps)


def rollouts(
    latent: Float[Array, "B D"], noise: Float[Array, "K B D"], sigma: float
) -> Float[Array, "K B D"]:
    """latent [B, D], noise [K, B, D] of variance 1 -> disturbed latents [K, B, D]."""
    return latent[None] + sigma * noise


def spread(scores: Float[Array, "K B"]) -> term.Pair:
    """-log sigmoid(best - worst) of scores [K, B]; weight = B. The released form.

    It falls when the gap between the best and the worst rollout grows. One rollout
    has no gap: 0.
    """
    if scores.shape[0] < 2:
        return jnp.float32(0.0), jnp.float32(scores.shape[1])
    gap = jnp.max(scores, axis=0) - jnp.min(scores, axis=0)
    return -jnp.sum(jax.nn.log_sigmoid(gap)), jnp.float32(scores.shape[1])


def towards_best(scores: Float[Array, "K B"], temperature: float = 0.05) -> term.Pair:
    """Every rollout towards the best of its row; scores [K, B], weight = B.

    Mean over k of -log sigmoid((score_k - best) / temperature), the best held fixed: it
    falls as any score rises, most for those that are far behind, and rewards no gap.
    """
    best = jax.lax.stop_gradient(jnp.max(scores, axis=0, keepdims=True))
    behind = (scores - best) / temperature
    rows = -jnp.mean(jax.nn.log_sigmoid(behind), axis=0)
    return jnp.sum(rows), jnp.float32(scores.shape[1])


PREFERENCES = {"spread": spread, "towards_best": towards_best}
