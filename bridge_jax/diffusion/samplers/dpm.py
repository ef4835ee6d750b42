"""DPM-Solver++(2M), midpoint (Lu et al. 2022, algorithm 2)."""

import dataclasses

import numpy as np

from bridge_jax.diffusion import sampling


@dataclasses.dataclass(frozen=True)
class Sampler(sampling.LinearSampler):
    """Second order from the second step on; first and last step are first order.

    The grid is evenly spaced from the noisiest step, and the last step lands on the
    clean sample (sigma 0).
    """

    def timesteps(self, num_steps: int) -> np.ndarray:
        """int64 [num_steps], descending; halves round to even as the reference's."""
        last = self.schedule.num_steps - 1
        self.check_steps(num_steps, last)
        grid = np.linspace(0, last, num_steps + 1).round().astype(np.int64)
        return grid[:0:-1]

    def plan(self, num_steps: int) -> sampling.Plan:
        """Coefficients from h, the steps in lambda = log(signal / sigma)."""
        timesteps = self.timesteps(num_steps)
        signal = self.schedule.signal[timesteps]
        sigma = self.schedule.sigma[timesteps]
        steps = np.diff(np.log(signal / sigma))
        # The last step has h = inf: it keeps nothing and returns x0.
        decay = np.append(np.exp(-steps), 0.0)
        next_signal = np.append(signal[1:], 1.0)
        gain = next_signal * (1 - decay)
        # D1's weight 1 / (2 r), r = h_before / h; none in the first and last step.
        extrapolate = np.zeros(num_steps)
        extrapolate[1:-1] = 0.5 * steps[1:] / steps[:-1]
        return sampling.Plan(
            timesteps=timesteps,
            signal=signal,
            sigma=sigma,
            keep=np.append(sigma[1:] / sigma[:-1], 0.0),
            clean=gain * (1 + extrapolate),
            before=-gain * extrapolate,
            spread=np.zeros(num_steps),
        )
