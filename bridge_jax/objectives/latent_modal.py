"""LatentUMM's modal term: one latent for a text and for its picture."""

import dataclasses
from typing import Literal

import jax.numpy as jnp

from bridge_jax.core import term
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base, consistency


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads what `space` reads, see `models/latent_spaces.py`.

    Logs the mean cosine of pairs, and the share of texts whose own picture is nearest.
    """

    space: Literal["embeddings", "llm", "aligner"] = "embeddings"

    def __call__(self, view: view_lib.View) -> term.Term:
        text, image = view.space(self.space).alike()
        alike = consistency.cosine(text, image)
        rows = jnp.float32(len(alike))
        # One latent for everything is alike, too; of it nothing would be found.
        every = consistency.cosine(text[:, None], image[None])
        other = jnp.where(jnp.eye(len(alike), dtype=bool), -jnp.inf, every)
        found = jnp.sum(alike > jnp.max(other, axis=1)).astype(jnp.float32)
        figures = {"cosine": (alike.sum(), rows), "found": (found, rows)}
        return term.Term(*consistency.distance(text, image), figures)
