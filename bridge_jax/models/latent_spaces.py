"""Where LatentUMM's terms are measured (arXiv 2605.17766): one interface, two places.

`Embeddings` is the stand-alone model between the embeddings of a frozen one; `States`
are a unified model's own pooled states with two maps beside them. In both there are
latents of text and image, a way out of the latent space, and a way back in.

Axes: B batch, Z latent width, E embedding width.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array

MODALITIES = ("text", "image")
Pair = tuple[Float[Array, "B E"], Float[Array, "B E"]]


class Space(Protocol):
    """What an objective reads."""

    def latent(self, kind: str) -> Float[Array, "B E"]:
        """Of the "text", of the "image" or of both ("fused"): [B, Z]."""

    def alike(self) -> Pair:
        """What the modal term draws together, of text and of image: [B, E or Z]."""

    def targets(self, kind: str) -> list[Pair]:
        """(made, wanted) [B, E] of the target term, the latter from a frozen model."""

    def cycle(self, latent: Float[Array, "B E"], draw: str) -> Float[Array, "B E"]:
        """Latents [B, Z], out and in again; `draw` names the stream of dropout."""


class Embeddings:
    """Part `latentumm` over the batch's own `text` and `image`, as published alone."""

    def __init__(self, view: Any):
        self._view = view

    def latent(self, kind: str) -> Float[Array, "B E"]:
        view = self._view
        return view.once(
            f"latent/{kind}",
            lambda: self._apply(
                view.batch["text"],
                view.batch["image"],
                kind,
                **view.dropout(f"latentumm/{kind}"),
                method="latent",
            ),
        )

    def alike(self) -> Pair:
        return self.latent("text"), self.latent("image")

    def targets(self, kind: str) -> list[Pair]:
        made = self._apply(self.latent(kind), method="generate")
        return [(made, self._view.batch["image"])]

    def cycle(self, latent: Float[Array, "B E"], draw: str) -> Float[Array, "B E"]:
        dropout = self._view.dropout(f"latentumm/cycle/{draw}")
        return self._apply(latent, **dropout, method="cycle")

    def _apply(self, *args: Any, **kwargs: Any) -> jax.Array:
        return self._view.bundle.apply("latentumm", self._view.params, *args, **kwargs)


class States:
    """Part `maps` over mean states of the retrieval batch's text and picture.

    The way out is to an embedding, the way in is back to the states.
    """

    def __init__(self, view: Any, of: Literal["llm", "aligner"]):
        """`of`: last-layer states of the LLM, or what retrieval's queries find."""
        self._view, self._of = view, of

    def latent(self, kind: str) -> Float[Array, "B E"]:
        if kind == "fused":
            return (self.latent("text") + self.latent("image")) / 2
        return self._view.once(f"{self._of}/{kind}", lambda: self._pooled(kind))

    def alike(self) -> Pair:
        return self._embedding("text"), self._embedding("image")

    def targets(self, kind: str) -> list[Pair]:
        """Of both modalities, whatever `kind`."""
        return [(self._embedding(one), self._view.batch[one]) for one in MODALITIES]

    def cycle(self, latent: Float[Array, "B E"], draw: str) -> Float[Array, "B E"]:
        return self._view.bundle.apply("maps", self._view.params, latent)[1]

    def _embedding(self, kind: str) -> jax.Array:
        view = self._view
        return view.once(
            f"{self._of}/embedding/{kind}",
            lambda: view.bundle.apply(
                "maps", view.params, self.latent(kind), method="embed"
            ),
        )

    def _pooled(self, modality: str) -> jax.Array:
        if self._of == "aligner":
            return jnp.mean(self._view.looked_for(modality), axis=1)
        mask = self._view.batch[f"{modality}_mask"]
        states = self._view.states(f"vlm_{modality}", modality)
        states = jnp.where(mask[..., None], states.astype(jnp.float32), 0.0)
        number = jnp.maximum(jnp.sum(mask, axis=1, keepdims=True), 1)
        return jnp.sum(states, axis=1) / number


SPACES: dict[str, Callable[[Any], Space]] = {
    "embeddings": Embeddings,
    "llm": functools.partial(States, of="llm"),
    "aligner": functools.partial(States, of="aligner"),
}
