"""v-prediction loss on autoencoder latents through the decoder."""

import dataclasses

import jax
import jax.numpy as jnp

from bridge_jax.core import term
from bridge_jax.diffusion import loss as loss_lib
from bridge_jax.diffusion import schedules
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Mean squared error of v over all latent values.

    Attributes:
      condition: "text" (mT5 states: pretraining) or "queries" (the aligner's output).
      loss: a name of `diffusion/loss.py`.
      draws: timesteps and noises a row. Further draws cost the decoder alone, not
        encoders and text projections, and what one row teaches varies most with them.
    """

    condition: str = "queries"
    loss: str = "mse"
    draws: int = 1

    def __call__(self, view: view_lib.View) -> term.Term:
        schedule = schedules.Schedule()
        latents = jnp.repeat(view.latents, self.draws, axis=0)
        rows = latents.shape[0]
        t = jax.random.randint(
            view.rngs["diffusion/timestep"], (rows,), 0, schedule.num_steps
        )
        noise = jax.random.normal(view.rngs["diffusion/noise"], latents.shape)
        noisy = loss_lib.q_sample(schedule, latents, noise, t)
        out = view.denoise(noisy, t.astype(jnp.float32), self.condition)
        loss = loss_lib.named(self.loss)(schedule, "v", out, latents, noise, t)
        return term.Term(jnp.sum(loss.value_sum), jnp.sum(loss.weight))
