"""Noise schedules: how much signal and how much noise is left at each timestep.

Tables are float64 numpy on the host; `at` gathers them as float32 on the device.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array

KINDS = ("linear", "scaled_linear", "squaredcos_cap_v2")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A variance-preserving forward process x_t = signal x_0 + sigma noise.

    The defaults are HunyuanDiT v1.2's (earlier versions end at beta 0.03).

    Raises:
      BridgeError: unknown kind, or betas outside 0 < start <= end < 1.
    """

    kind: str = "scaled_linear"
    beta_start: float = 0.00085
    beta_end: float = 0.02
    num_steps: int = 1000

    def __post_init__(self):
        if self.kind not in KINDS:
            raise BridgeError(
                f"schedule kind {self.kind!r} is unknown: use one of {', '.join(KINDS)}"
            )
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise BridgeError(
                f"schedule betas {self.beta_start} .. {self.beta_end} are out of "
                "range: choose 0 < beta_start <= beta_end < 1"
            )
        if self.num_steps < 2:
            raise BridgeError(
                f"schedule num_steps {self.num_steps} is too small: choose at least 2"
            )

    @functools.cached_property
    def betas(self) -> np.ndarray:
        """Variance added at each step, float64 [num_steps]."""
        if self.kind == "linear":
            return np.linspace(self.beta_start, self.beta_end, self.num_steps)
        if self.kind == "scaled_linear":
            ends = math.sqrt(self.beta_start), math.sqrt(self.beta_end)
            return np.linspace(*ends, self.num_steps) ** 2
        # Nichol & Dhariwal 2021, eq. 17; the last betas are capped, not singular.
        grid = np.arange(self.num_steps + 1) / self.num_steps
        level = np.cos((grid + 0.008) / 1.008 * np.pi / 2) ** 2
        return np.minimum(1 - level[1:] / level[:-1], 0.999)

    @functools.cached_property
    def alphas_cumprod(self) -> np.ndarray:
        """Squared signal left after each step, float64 [num_steps]."""
        return np.cumprod(1 - self.betas)

    @functools.cached_property
    def signal(self) -> np.ndarray:
        """sqrt(alphas_cumprod), float64 [num_steps]."""
        return np.sqrt(self.alphas_cumprod)

    @functools.cached_property
    def sigma(self) -> np.ndarray:
        """sqrt(1 - alphas_cumprod), float64 [num_steps]."""
        return np.sqrt(1 - self.alphas_cumprod)

    @functools.cached_property
    def snr(self) -> np.ndarray:
        """Signal-to-noise ratio, float64 [num_steps]."""
        return self.alphas_cumprod / (1 - self.alphas_cumprod)

    @functools.cached_property
    def posterior_variance(self) -> np.ndarray:
        """Variance of q(x_{t-1} | x_t, x_0), 0 at t = 0; float64 [num_steps]."""
        return self.betas * (1 - self._previous) / (1 - self.alphas_cumprod)

    @functools.cached_property
    def posterior_log_variance_clipped(self) -> np.ndarray:
        """Its logarithm, with step 0 (log 0) taken from step 1."""
        variance = self.posterior_variance
        return np.log(np.append(variance[1], variance[1:]))

    @functools.cached_property
    def posterior_mean_coef1(self) -> np.ndarray:
        """Weight of x_0 in the mean of q(x_{t-1} | x_t, x_0)."""
        return self.betas * np.sqrt(self._previous) / (1 - self.alphas_cumprod)

    @functools.cached_property
    def posterior_mean_coef2(self) -> np.ndarray:
        """Weight of x_t in the mean of q(x_{t-1} | x_t, x_0)."""
        kept = np.sqrt(1 - self.betas)
        return (1 - self._previous) * kept / (1 - self.alphas_cumprod)

    @property
    def _previous(self) -> np.ndarray:
        return np.append(1.0, self.alphas_cumprod[:-1])


HUNYUAN_V12 = Schedule()


def at(table: np.ndarray, t: Int[Array, " B"], ndim: int) -> Float[Array, "B ..."]:
    """table[t] as float32 [B, 1, ...] of rank `ndim`; t int [B]."""
    values = jnp.asarray(table, jnp.float32)[t]
    return values.reshape(values.shape + (1,) * (ndim - 1))


def from_scheduler_config(config: Mapping[str, Any]) -> tuple[Schedule, str]:
    """The schedule and prediction kind of a diffusers `scheduler_config.json`.

    Returns:
      (Schedule, prediction) with prediction one of "eps", "v", "x0".

    Raises:
      BridgeError: every field we do not implement, at once.
    """
    predictions = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}
    prediction = config.get("prediction_type", "epsilon")
    problems = []
    if prediction not in predictions:
        problems.append(f"prediction_type {prediction!r} (known: {list(predictions)})")
    if config.get("trained_betas") is not None:
        problems.append("trained_betas (only formula schedules are read)")
    if config.get("rescale_betas_zero_snr"):
        problems.append("rescale_betas_zero_snr (set it to false)")
    if config.get("beta_schedule", "linear") not in KINDS:
        problems.append(f"beta_schedule {config['beta_schedule']!r} (known: {KINDS})")
    if problems:
        raise BridgeError(f"scheduler config not supported: {'; '.join(problems)}")
    schedule = Schedule(
        kind=config.get("beta_schedule", "linear"),
        beta_start=config.get("beta_start", 0.0001),
        beta_end=config.get("beta_end", 0.02),
        num_steps=config.get("num_train_timesteps", 1000),
    )
    return schedule, predictions[prediction]
