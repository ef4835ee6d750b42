"""LatentUMM's modal term: one latent for a text and for its picture."""

import dataclasses

import jax.numpy as jnp

from bridge_jax.core import term
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base, consistency


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads the fields `text` and `image` of paired embeddings."""

    def __call__(self, view: view_lib.View) -> term.Term:
        text, image = view.latent("text"), view.latent("image")
        alike = consistency.cosine(text, image)
        figures = {"cosine": (alike.sum(), jnp.float32(len(alike)))}
        return term.Term(*consistency.distance(text, image), figures)
