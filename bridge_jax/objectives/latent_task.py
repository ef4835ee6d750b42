"""LatentUMM's task term: what is generated and read again is where it started."""

import dataclasses
from typing import Literal

from bridge_jax.core import term
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base, consistency


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads the fields `text` and `image` of paired embeddings.

    Attributes:
      start: whose latent goes round, "text" or "fused".
    """

    start: Literal["text", "fused"] = "text"

    def __call__(self, view: view_lib.View) -> term.Term:
        latent = view.latent(self.start)
        return term.Term(*consistency.distance(latent, view.cycle(latent, "task")))
