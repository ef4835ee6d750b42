"""Next-token cross-entropy on the tokens that the assistant wrote (stage 1)."""

import dataclasses

import jax
import jax.numpy as jnp

from bridge_jax.core import term
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base


def cross_entropy(
    logits: jax.Array, tokens: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sums over the positions whose *token* is a response.

    Args:
      logits: float32 [B, T, V].
      tokens: int [B, T], what is to be said.
      mask: bool or float [B, T], the weight of each token, 0 on what is no response;
        position 0 has no prediction.

    Returns:
      Weighted (sum of -log p, number of tokens, number predicted exactly), float32.
    """
    targets, counted = tokens[:, 1:], mask[:, 1:].astype(jnp.float32)
    log_p = jax.nn.log_softmax(logits[:, :-1].astype(jnp.float32), axis=-1)
    nll = -jnp.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    right = (jnp.argmax(logits[:, :-1], axis=-1) == targets).astype(jnp.float32)
    return jnp.sum(nll * counted), jnp.sum(counted), jnp.sum(right * counted)


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads `vlm` and `loss_mask` [B, T] of its stream.

    `targets` [B, T], where the stream has them, are to be said in place of the tokens
    that are read.
    """

    def __call__(self, view: view_lib.View) -> term.Term:
        tokens = view.batch.get("targets", view.batch["vlm"]["tokens"])
        mask = view.batch["loss_mask"]
        total, count, right = cross_entropy(view.logits(), tokens, mask)
        return term.Term(total, count, {"token_accuracy": (right, count)})
