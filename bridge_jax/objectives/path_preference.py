"""LatentUMM's preference through the real path: drawn, decoded and looked at again.

latent -> decoder -> picture -> vision tower -> LLM -> aligner -> latent, K samples of
each row in one batch. The released term (`latent_preference`) goes round inside the
latent space instead, by two small maps.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

from bridge_jax.core import term
from bridge_jax.diffusion import samplers, sampling, targets
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base, consistency


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Reads a generation stream with `sides`: what drawing and retrieval read.

    A rollout is a picture of the caption from its own noise; its score is the cosine of
    retrieval's embedding of it and of what it should show, which is held fixed. The
    gradient comes back through every step, so few steps are taken.

    Attributes:
      form: a name in `consistency.PREFERENCES`, as in `latent_preference`.
      start: what it should show, the "text" or the true "image".
      rollouts: pictures of each caption.
      condition: of the decoder, "queries" or "text".
      sampler, steps: as for drawing; there is no guidance.
    """

    form: Literal["spread", "towards_best"] = "towards_best"
    start: Literal["text", "image"] = "text"
    rollouts: int = 2
    condition: Literal["queries", "text"] = "queries"
    sampler: Literal["ddim", "dpm"] = "ddim"
    steps: int = 3

    def __call__(self, view: view_lib.View) -> term.Term:
        wanted = jax.lax.stop_gradient(view.embedding(self.start))
        rows = wanted.shape[0]
        seen = view.shown(self._pictures(view, rows)).embedding("image")
        seen = seen.reshape(rows, self.rollouts, -1)
        scores = consistency.cosine(
            jnp.broadcast_to(wanted[:, None], seen.shape), seen
        ).T
        weight = jnp.float32(rows)
        figures = {
            "best": (jnp.sum(jnp.max(scores, axis=0)), weight),
            "worst": (jnp.sum(jnp.min(scores, axis=0)), weight),
        }
        return term.Term(*consistency.PREFERENCES[self.form](scores), figures)

    def _pictures(self, view: view_lib.View, rows: int) -> jax.Array:
        """[rows * rollouts, h, w, 3] in about [-1, 1], consecutive ones of a row."""
        config = view.bundle["dit"].config
        shape = (config.input_size, config.input_size, config.in_channels)
        numbers = jnp.arange(rows * self.rollouts)
        keys = sampling.image_keys(view.rngs["rollouts"], numbers)

        def denoise(x: jax.Array, t: jax.Array) -> jax.Array:
            out = view.denoise(x, t, self.condition).astype(jnp.float32)
            return targets.split_variance(out, config.in_channels)[0]

        noise = sampling.initial_noise(keys, shape)
        sampler = samplers.load(self.sampler)
        latents = sampling.sample(sampler, denoise, noise, keys, self.steps)
        scale = view.bundle["vae"].config.scaling_factor
        return view.bundle.apply("vae", view.params, latents / scale, method="decode")
