"""Multi-positive InfoNCE between texts and images of one global batch."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from bridge_jax.core import term
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base

T2T_WEIGHT = 0.05  # OmniBridge's released code


def multi_positive_infonce(
    text: Float[Array, "B E"],
    image: Float[Array, "B E"],
    ids: Int[Array, " B"],
    logit_scale: Float[Array, "..."],
    t2t_weight: float = T2T_WEIGHT,
) -> tuple[Float[Array, ""], Float[Array, ""], dict[str, term.Pair]]:
    """text->image + image->text + t2t_weight * text->text (arXiv 2509.19018).

    Targets are spread evenly over all items with the same id. The text->text targets
    leave out the item itself, whose logit stays in the softmax; rows without another
    positive are dropped from that term. Not splittable: negatives are the whole batch.

    Args:
      text, image: [B, E] embeddings of length 1; row i of both is one pair. B >= 2.
      ids: int [B]; equal ids are captions of the same image.
      logit_scale: [1] or [], log of the inverse temperature.
      t2t_weight: weight of the text->text term.

    Returns:
      (value_sum, weight, metrics): value_sum / weight is the loss; metrics are pairs
      of a sum and a count. Recalls count the rows with an item of the same id among
      the top 1, 5 and 10 of the other modality.

    Raises:
      BridgeError: fewer than two rows.
    """
    batch = text.shape[0]
    if batch < 2:
        raise BridgeError("contrastive loss: a global batch of 1 has no negatives")
    text, image = text.astype(jnp.float32), image.astype(jnp.float32)
    scale = jnp.exp(logit_scale.astype(jnp.float32)).reshape(())
    same = (ids[:, None] == ids[None, :]).astype(jnp.float32)
    others = same * (1.0 - jnp.eye(batch))
    has_other = jnp.any(others > 0, axis=1).astype(jnp.float32)

    to_image = scale * _similarity(text, image)
    t2i = jnp.sum(_soft_cross_entropy(to_image, same))
    i2t = jnp.sum(_soft_cross_entropy(to_image.T, same))
    t2t_rows = _soft_cross_entropy(scale * _similarity(text, text), others)
    t2t, t2t_count = jnp.sum(t2t_rows * has_other), jnp.sum(has_other)

    weight = jnp.float32(batch)
    # Its mean is over other rows than the rest's, hence the rescaling to `weight`.
    t2t_part = t2t_weight * weight * t2t / jnp.maximum(t2t_count, 1.0)
    metrics = {"t2i": (t2i, weight), "i2t": (i2t, weight), "t2t": (t2t, t2t_count)}
    metrics |= _recalls("t2i", to_image, same) | _recalls("i2t", to_image.T, same)
    return t2i + i2t + t2t_part, weight, metrics


def _similarity(a: jax.Array, b: jax.Array) -> jax.Array:
    """[B, E] and [B', E] -> [B, B'] in full float32 on every accelerator."""
    return jnp.dot(a, b.T, precision="highest")


def _soft_cross_entropy(logits: jax.Array, positives: jax.Array) -> jax.Array:
    """Per row, the mean negative log-probability of its positives; 0 without any."""
    number = jnp.maximum(jnp.sum(positives, axis=1), 1.0)
    log_p = jax.nn.log_softmax(logits, axis=1)
    return -jnp.sum(log_p * positives, axis=1) / number


def _recalls(
    name: str, logits: jax.Array, positives: jax.Array
) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Rows whose best positive is among the k largest columns, k = 1, 5, 10."""
    best = jnp.max(jnp.where(positives > 0, logits, -jnp.inf), axis=1, keepdims=True)
    rank = jnp.sum(logits > best, axis=1)
    number = jnp.float32(logits.shape[0])
    return {
        f"{name}_recall_at_{k}": (jnp.sum(rank < k).astype(jnp.float32), number)
        for k in (1, 5, 10)
    }


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads vlm_image, vlm_text, their index and mask fields, and `ids` [B]."""

    t2t_weight: float = T2T_WEIGHT

    def __call__(self, view: view_lib.View) -> term.Term:
        value_sum, weight, metrics = multi_positive_infonce(
            view.embedding("text"),
            view.embedding("image"),
            view.batch["ids"],
            view.params["retrieval"]["logit_scale"],
            self.t2t_weight,
        )
        # In-batch negatives: micro-batches would be another loss.
        return term.Term(value_sum, weight, metrics, splittable=False)
