"""LatentUMM's preference term: disturbed latents that go round and come back."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

from bridge_jax.core import term
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base, consistency


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads what `space` reads, see `models/latent_spaces.py`.

    A rollout is a latent with noise, sent round once; its score is the cosine of what
    comes back and the latent. All rollouts go in one batch.

    Attributes:
      form: a name in `consistency.PREFERENCES`: "spread" as released, which rewards the
        gap between the best and the worst, or "towards_best", which does not.
      start: whose latent goes round, "text", "image" or "fused".
      rollouts: how many of each latent.
      sigma: standard deviation of the noise.
    """

    form: Literal["spread", "towards_best"] = "towards_best"
    space: Literal["embeddings", "llm", "aligner"] = "embeddings"
    start: Literal["text", "image", "fused"] = "text"
    rollouts: int = 4
    sigma: float = 0.05

    def __call__(self, view: view_lib.View) -> term.Term:
        space = view.space(self.space)
        latent = space.latent(self.start)
        shape = (self.rollouts, *latent.shape)
        noise = jax.random.normal(view.rngs["rollouts"], shape, latent.dtype)
        disturbed = consistency.rollouts(latent, noise, self.sigma)
        flat = disturbed.reshape(-1, latent.shape[-1])
        back = space.cycle(flat, "rollouts").reshape(shape)
        scores = consistency.cosine(jnp.broadcast_to(latent[None], shape), back)
        rows = jnp.float32(latent.shape[0])
        figures = {
            "best": (jnp.sum(jnp.max(scores, axis=0)), rows),
            "worst": (jnp.sum(jnp.min(scores, axis=0)), rows),
        }
        return term.Term(*consistency.PREFERENCES[self.form](scores), figures)
