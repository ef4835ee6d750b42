"""LatentUMM's target term: what is generated is the picture's own embedding."""

import dataclasses
from typing import Literal

from bridge_jax.core import term
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base, consistency


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads the fields `text` and `image` of paired embeddings.

    Attributes:
      start: whose latent is generated from, "text" or "fused".
    """

    start: Literal["text", "fused"] = "text"

    def __call__(self, view: view_lib.View) -> term.Term:
        made = view.generated(self.start)
        return term.Term(*consistency.distance(made, view.batch["image"]))
