"""LatentUMM's modal term: one latent for a text and for its picture."""

import dataclasses
from typing import Literal

import jax.numpy as jnp

from bridge_jax.core import term
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base, consistency


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads what `space` reads, see `models/latent_spaces.py`."""

    space: Literal["embeddings", "llm", "aligner"] = "embeddings"

    def __call__(self, view: view_lib.View) -> term.Term:
        text, image = view.space(self.space).alike()
        alike = consistency.cosine(text, image)
        figures = {"cosine": (alike.sum(), jnp.float32(len(alike)))}
        return term.Term(*consistency.distance(text, image), figures)
