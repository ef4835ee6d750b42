"""Ancestral sampling with the posterior's variance (Ho et al. 2020)."""

import dataclasses

import numpy as np

from bridge_jax.diffusion import sampling


@dataclasses.dataclass(frozen=True)
class Sampler(sampling.LinearSampler):
    """DDPM on a leading grid: 901, 801, ..., 1 in ten of 1000 steps."""

    def timesteps(self, num_steps: int) -> np.ndarray:
        """int64 [num_steps], descending."""
        return leading(self, num_steps)

    def plan(self, num_steps: int) -> sampling.Plan:
        """Mean and spread of q(x_prev | x_t, x_0) across each stride."""
        timesteps = self.timesteps(num_steps)
        now, previous = strides(self, timesteps, num_steps)
        ratio = now / previous
        return sampling.Plan(
            timesteps=timesteps,
            signal=np.sqrt(now),
            sigma=np.sqrt(1 - now),
            keep=np.sqrt(ratio) * (1 - previous) / (1 - now),
            clean=np.sqrt(previous) * (1 - ratio) / (1 - now),
            before=np.zeros(num_steps),
            spread=np.sqrt((1 - previous) / (1 - now) * (1 - ratio)),
        )


def leading(sampler: sampling.LinearSampler, num_steps: int) -> np.ndarray:
    """Multiples of the stride, descending, plus the published offset of 1."""
    total = sampler.schedule.num_steps
    sampler.check_steps(num_steps, total - 1)
    return np.arange(num_steps)[::-1] * (total // num_steps) + 1


def strides(
    sampler: sampling.LinearSampler, timesteps: np.ndarray, num_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Squared signal at each timestep and one stride before it (1 before step 0)."""
    table = sampler.schedule.alphas_cumprod
    before = timesteps - sampler.schedule.num_steps // num_steps
    return table[timesteps], np.where(before >= 0, table[np.maximum(before, 0)], 1.0)
