"""Next-token cross-entropy on the tokens that the assistant wrote (stage 1)."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, Num, Shaped

from bridge_jax.core import blockwise, term
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base


def cross_entropy(
    logits: Float[Array, "*P V"], targets: Int[Array, "*P"], weights: Num[Array, "*P"]
) -> tuple[Float[Array, ""], term.Pair]:
    """Sums over positions and what each foretells.

    Args:
      logits: float32 [B, T, V].
      targets: int [B, T], what is to be said next.
      weights: float [B, T], 0 where that is no response.

    Returns:
      Weighted sum of -log p; weighted numbers of tokens and of those that none scores
      higher than; float32.
    """
    nll, right = _foretold(logits.astype(jnp.float32), targets)
    right = right.astype(jnp.float32)
    return jnp.sum(nll * weights), (jnp.sum(weights), jnp.sum(right * weights))


@jax.custom_vjp
def _foretold(logits: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """-log p of each target, and whether none scores higher.

    By hand: backward keeps the scores and no chances, and has one pass over the
    vocabulary, as forward has two.
    """
    (nll, right), _ = _foretold_kept(logits, targets)
    return nll, right


def _foretold_kept(logits: jax.Array, targets: jax.Array):
    best = jnp.max(logits, axis=-1)
    said = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    total = best + jnp.log(jnp.sum(jnp.exp(logits - best[..., None]), axis=-1))
    return (total - said, said >= best), (logits, targets, total)


def _foretold_back(kept, gradients):
    logits, targets, total = kept
    chances = jnp.exp(logits - total[..., None])
    words = jax.lax.broadcasted_iota(targets.dtype, logits.shape, logits.ndim - 1)
    said = words == targets[..., None]
    return (chances - said) * gradients[0][..., None], None


_foretold.defvjp(_foretold_kept, _foretold_back)


def following(
    tokens: Int[Array, "B T"], mask: Shaped[Array, "B T"]
) -> tuple[Int[Array, "B T"], Float[Array, "B T"]]:
    """Targets int [B, T] and weights float32 [B, T] of positions.

    Args:
      tokens: int [B, T], what is to be said.
      mask: bool or float [B, T], the weight of each token, 0 on what is no response;
        position 0 was never predicted.
    """
    last = ((0, 0), (0, 1))  # foretells nothing
    return jnp.pad(tokens[:, 1:], last), jnp.pad(mask[:, 1:].astype(jnp.float32), last)


def weighing_first(weights: Float[Array, "B T"]) -> Int[Array, "B T"]:
    """Positions of each row: those that weigh something in order, then the others."""
    return jnp.argsort(weights == 0, axis=1, stable=True)


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads `vlm` and `loss_mask` [B, T] of its stream.

    `targets` [B, T], where the stream has them, are to be said in place of the tokens
    that are read.

    Attributes:
      learnt: tokens of a row that are learnt at most, the first ones; 0 for all. What
        other positions alone would need is not computed: neither scores over the
        vocabulary nor, where these are few, the last layer's states. What is left out
        is told as "left_out", a share of the weight.
      blocks: of positions, whose scores over the vocabulary are made one after the
        other and never kept: less memory for them, by that factor. On a mesh that
        splits batches, the gradient of the table of words is summed that many times.
    """

    learnt: int = 0
    blocks: int = 1

    def __post_init__(self):
        wrong = []
        if self.learnt < 0:
            wrong.append(f"learnt is {self.learnt}; 0 learns all tokens")
        if self.blocks < 1:
            wrong.append(f"blocks is {self.blocks}; 1 makes all scores at once")
        if wrong:
            raise BridgeError(f"sft: {'; '.join(wrong)}")

    def __call__(self, view: view_lib.View) -> term.Term:
        tokens = view.batch.get("targets", view.batch["vlm"]["tokens"])
        targets, weights = following(tokens, view.batch["loss_mask"])
        at, more = None, {}
        if 0 < self.learnt < tokens.shape[1]:
            order = weighing_first(weights)
            at, rest = order[:, : self.learnt], order[:, self.learnt :]
            left = jnp.sum(jnp.take_along_axis(weights, rest, axis=1))
            more = {"left_out": (left, jnp.sum(weights))}
            targets, weights = (
                jnp.take_along_axis(one, at, axis=1) for one in (targets, weights)
            )

        def of_block(states, targets, weights):
            return cross_entropy(view.logits(states), targets, weights)

        total, (count, right) = blockwise.total(
            of_block, self.blocks, view.hidden(at=at), targets, weights
        )
        return term.Term(total, count, more | {"token_accuracy": (right, count)})
