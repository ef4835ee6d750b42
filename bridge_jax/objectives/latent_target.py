"""LatentUMM's target term: what is made of a latent is a frozen model's embedding."""

import dataclasses
from typing import Literal

from bridge_jax.core import term
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base, consistency


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads what `space` reads, see `models/latent_spaces.py`.

    Attributes:
      start: whose latent is generated from, "text" or "fused"; of a unified model's
        states it is both, each to its own embedding.
    """

    space: Literal["embeddings", "llm", "aligner"] = "embeddings"
    start: Literal["text", "fused"] = "text"

    def __call__(self, view: view_lib.View) -> term.Term:
        pairs = view.space(self.space).targets(self.start)
        sums = [consistency.distance(made, wanted) for made, wanted in pairs]
        value = sum(one for one, _ in sums) / len(sums)
        return term.Term(value, sums[0][1])
