"""Semantic-guided objective: the aligner imitates the text encoder."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import term
from bridge_jax.core.types import Array
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base


def semantic_mse(
    pred: Float[Array, "B L D"], target: Float[Array, "B L D"]
) -> term.Pair:
    """Squared error of the aligner's output against the text encoder's.

    The mean runs over all positions and channels, padding included (OmniBridge,
    arXiv 2509.19018), in float32. No gradient flows into `target`.

    Args:
      pred: [B, L, D] aligner output.
      target: [B, L, D] text-encoder output of the same captions.

    Returns:
      (sum over rows of the row's mean, number of rows): their quotient is the mean.
    """
    target = jax.lax.stop_gradient(target)
    error = pred.astype(jnp.float32) - target.astype(jnp.float32)
    rows = jnp.mean(jnp.square(error), axis=(1, 2))
    return jnp.sum(rows), jnp.float32(rows.shape[0])


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads what `View.aligned` and `View.mt5_states` read."""

    def __call__(self, view: view_lib.View) -> term.Term:
        made = view.aligned
        return term.Term(*semantic_mse(made, view.mt5_states[:, : made.shape[1]]))
