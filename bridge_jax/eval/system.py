"""What evaluation asks of a model: the tasks, and enough to name its weights.

`bridge_jax.load` gives such an object; so does a test that answers from the truth.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

Picture = np.ndarray  # uint8 [H, W, 3]


class System(Protocol):
    """The methods of `bridge_jax.inference` that are used here.

    Attributes:
      params: part -> tree of arrays.
      engine: `engine.bundle.description()` is the model's config.
    """

    params: Mapping[str, Any]
    engine: Any

    def chat(
        self, images: Sequence[Picture], questions: Sequence[str], **settings: Any
    ) -> Sequence[Any]:
        """One answer, with `text`, for each picture and question."""

    def describe(self, images: Sequence[Picture]) -> list[str]:
        """What each picture shows, in words."""

    def likelihood(
        self,
        prompts: Sequence[str | None],
        targets: Sequence[str],
        images: Sequence[Any] | None = None,
    ) -> Sequence[tuple[float, int]]:
        """(log-probability, number of tokens) of each target."""

    def likelihood_of_replies(
        self,
        conversations: Sequence[Sequence[Mapping[str, Any]]],
        images: Sequence[Any] | None = None,
    ) -> Sequence[tuple[float, int]]:
        """The same of what the assistant says in each conversation."""

    def generate(self, prompts: Sequence[str], **settings: Any) -> Sequence[Any]:
        """One drawing, with `caption` and `images`, for each prompt."""

    def edit(
        self, images: Sequence[Picture], instructions: Sequence[str], **settings: Any
    ) -> Sequence[Any]:
        """One edited picture, with `caption` and `images`, for each instruction."""

    def reconstruct(self, images: Sequence[Picture]) -> list[Picture]:
        """What the autoencoder gives back of each picture."""

    def embed(
        self,
        images: Sequence[Picture] | None = None,
        texts: Sequence[str] | None = None,
    ) -> np.ndarray:
        """float32 [N, E] of the pictures or of the texts."""
