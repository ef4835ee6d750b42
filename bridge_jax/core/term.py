"""Term: a loss as (sum, weight), never as a mean.

Masks, micro-batches and hosts then merge exactly: add the sums, add the weights,
divide once. `weight` depends on the batch only, never on parameters.
"""

from collections.abc import Mapping

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array

Pair = tuple[Float[Array, ""], Float[Array, ""]]  # (sum, weight), float32


@flax.struct.dataclass
class Term:
    """One loss term of one batch.

    Attributes:
      value_sum: float32 scalar, sum of the loss over its items.
      weight: float32 scalar, how many items (tokens, samples) were summed.
      metrics: name -> (sum, weight) of further figures to log.
      splittable: False if the loss couples the samples of a batch (in-batch
        negatives): such a term is not a sum over micro-batches.
    """

    value_sum: jax.Array
    weight: jax.Array
    metrics: dict[str, Pair] = flax.struct.field(default_factory=dict)
    splittable: bool = flax.struct.field(pytree_node=False, default=True)

    def mean(self) -> Float[Array, ""]:
        """value_sum / weight; 0 where nothing was weighed."""
        return divide(self.value_sum, self.weight)


Weighted = Mapping[str, tuple[float | jax.Array, Term]]  # name -> (coefficient, term)


def divide(
    value_sum: Float[Array, "*S"], weight: Float[Array, "*S"]
) -> Float[Array, "*S"]:
    """value_sum / weight with a finite gradient, 0, where weight is 0."""
    some = weight > 0
    return jnp.where(some, value_sum / jnp.where(some, weight, 1.0), 0.0)


def merge(first: Term, second: Term) -> Term:
    """The term of both batches together; both must carry the same metrics."""
    return jax.tree.map(jnp.add, first, second)


def total(
    terms: Weighted, weights: Mapping[str, jax.Array] | None = None
) -> Float[Array, ""]:
    """Sum of coefficient * value_sum / weight, float32 scalar.

    `weights` replaces the terms' own: with the weights of the whole batch, the totals
    of its micro-batches add up to the total of the batch.
    """
    loss = jnp.zeros((), jnp.float32)
    for name, (coefficient, term) in terms.items():
        weight = term.weight if weights is None else weights[name]
        value = jnp.asarray(term.value_sum, jnp.float32)
        loss += coefficient * divide(value, jax.lax.stop_gradient(weight))
    return loss


def summary(terms: Weighted) -> dict[str, Pair]:
    """All figures to log: "name" for each term and "name/metric" for its metrics."""
    figures = {}
    for name, (_, term) in terms.items():
        figures[name] = (term.value_sum, term.weight)
        figures |= {f"{name}/{key}": pair for key, pair in term.metrics.items()}
    return figures
