"""LatentUMM's task term: what is generated and read again is where it started."""

import dataclasses
from typing import Literal

from bridge_jax.core import term
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base, consistency


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads what `space` reads, see `models/latent_spaces.py`.

    Attributes:
      start: whose latent goes round, "text", "image" or "fused".
    """

    space: Literal["embeddings", "llm", "aligner"] = "embeddings"
    start: Literal["text", "image", "fused"] = "text"

    def __call__(self, view: view_lib.View) -> term.Term:
        space = view.space(self.space)
        latent = space.latent(self.start)
        return term.Term(*consistency.distance(latent, space.cycle(latent, "task")))
