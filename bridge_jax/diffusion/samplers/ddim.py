"""Implicit sampling (Song et al. 2021): deterministic at eta 0, like DDPM at 1."""

import dataclasses

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.diffusion import sampling
from bridge_jax.diffusion.samplers import ddpm


@dataclasses.dataclass(frozen=True)
class Sampler(sampling.LinearSampler):
    """DDIM on DDPM's leading grid, ending at the clean sample."""

    eta: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.eta <= 1:
            raise BridgeError(f"ddim eta {self.eta} is out of range: choose 0 to 1")

    def timesteps(self, num_steps: int) -> np.ndarray:
        """int64 [num_steps], descending."""
        return ddpm.leading(self, num_steps)

    def plan(self, num_steps: int) -> sampling.Plan:
        """Equation 12, with eps written as (x - signal x0) / sigma."""
        timesteps = self.timesteps(num_steps)
        now, previous = ddpm.strides(self, timesteps, num_steps)
        spread = self.eta * np.sqrt((1 - previous) / (1 - now) * (1 - now / previous))
        direction = np.sqrt(1 - previous - spread**2) / np.sqrt(1 - now)
        return sampling.Plan(
            timesteps=timesteps,
            signal=np.sqrt(now),
            sigma=np.sqrt(1 - now),
            keep=direction,
            clean=np.sqrt(previous) - direction * np.sqrt(now),
            before=np.zeros(num_steps),
            spread=spread,
        )
