"""Classifier-free guidance (Ho & Salimans 2022) and its rescaled form."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array

# (x [B, h, w, C], t float32 [B], condition with leading axis B) -> prediction
Denoiser = Callable[[jax.Array, jax.Array, Any], jax.Array]
Number = float | jax.Array  # a scalar, which may be traced


def guide(
    unconditional: Float[Array, "*S"], conditional: Float[Array, "*S"], scale: Number
) -> Float[Array, "*S"]:
    """unconditional + scale (conditional - unconditional)."""
    return unconditional + scale * (conditional - unconditional)


def rescale(
    guided: Float[Array, " B *S"], conditional: Float[Array, " B *S"], amount: float
) -> Float[Array, " B *S"]:
    """Pull a guided prediction's contrast back towards the conditional one's.

    Each sample's standard deviation (unbiased, over all but the batch axis) is set to
    the conditional's, then mixed with the untouched guided prediction: `amount` 0 keeps
    the latter, 1 the former (Lin et al. 2024, section 3.4; they advise 0.7).
    """
    axes = tuple(range(1, guided.ndim))
    wanted = jnp.std(conditional, axis=axes, ddof=1, keepdims=True)
    found = jnp.std(guided, axis=axes, ddof=1, keepdims=True)
    return amount * guided * (wanted / found) + (1 - amount) * guided


def classifier_free(
    denoise: Denoiser,
    unconditional: Any,
    conditional: Any,
    scale: Number,
    rescale_amount: float = 0.0,
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A denoiser of (x, t) that runs both conditions as one batch of 2B.

    The unconditional half comes FIRST, then the conditional one, as in the reference
    pipeline. Both conditions are pytrees with leading axis B. At scale 1 the guided
    prediction is the conditional one and the other half is not computed; a traced
    number is never taken for that 1.

    Args:
      denoise: returns the prediction only, learned variances already split off.
      scale: guidance scale; the reference's default is 6.
      rescale_amount: 0 for plain guidance, see `rescale`.
    """
    if not isinstance(scale, jax.Array) and scale == 1:
        return lambda x, t: denoise(x, t, conditional)
    both = jax.tree.map(
        lambda first, second: jnp.concatenate([first, second]),
        unconditional,
        conditional,
    )

    def guided(x: jax.Array, t: jax.Array) -> jax.Array:
        output = denoise(jnp.concatenate([x, x]), jnp.concatenate([t, t]), both)
        without, with_text = jnp.split(output, 2)
        mixed = guide(without, with_text, scale)
        if rescale_amount:
            mixed = rescale(mixed, with_text, rescale_amount)
        return mixed

    return guided
