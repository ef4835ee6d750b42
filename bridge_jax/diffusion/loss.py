"""Training losses by name, as per-sample sums that merge exactly.

Every loss has the signature `(schedule, kind, output, x0, noise, t) -> PerSample`:

    kind    what the denoiser predicts: eps, v or x0
    output  [B, h, w, C], or [B, h, w, 2C] where it also learns the variance
    x0      clean latents [B, h, w, C];  noise  standard normal, same shape
    t       int [B], 0 .. num_steps - 1

The released systems never show which of them trained the decoder; `mse` with
v-prediction is our default.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array
from bridge_jax.diffusion import bound, schedules, targets


class PerSample(NamedTuple):
    """sum(value_sum) / sum(weight) is the mean over any union of batches."""

    value_sum: jax.Array  # float32 [B], summed over the sample's elements
    weight: jax.Array  # float32 [B], number of elements


def q_sample(
    schedule: schedules.Schedule,
    x0: Float[Array, " B *S"],
    noise: Float[Array, " B *S"],
    t: Int[Array, " B"],
) -> Float[Array, " B *S"]:
    """x_t = signal x0 + sigma noise; t int [B]."""
    signal, sigma = _coefficients(schedule, t, x0.ndim)
    return signal * x0 + sigma * noise


def mse(
    schedule: schedules.Schedule,
    kind: str,
    output: Float[Array, "B h w O"],
    x0: Float[Array, "B h w C"],
    noise: Float[Array, "B h w C"],
    t: Int[Array, " B"],
) -> PerSample:
    """Squared error of the prediction; variance values are ignored."""
    prediction, _ = targets.split_variance(output, x0.shape[-1])
    target = targets.target(kind, x0, noise, *_coefficients(schedule, t, x0.ndim))
    error = prediction.astype(jnp.float32) - target.astype(jnp.float32)
    return _per_sample(_mean(jnp.square(error)), x0)


def hybrid(
    schedule: schedules.Schedule,
    kind: str,
    output: Float[Array, "B h w O"],
    x0: Float[Array, "B h w C"],
    noise: Float[Array, "B h w C"],
    t: Int[Array, " B"],
) -> PerSample:
    """`mse` plus the bound, which trains the variance only (L_hybrid).

    The bound is weighted by num_steps / 1000, so that schedules of any length trade
    the two alike (Nichol & Dhariwal 2021, with lambda 0.001).
    """
    vb = _bound(schedule, kind, output, x0, noise, t, freeze_mean=True)
    error = mse(schedule, kind, output, x0, noise, t)
    total = error.value_sum + vb * schedule.num_steps / 1000.0 * error.weight
    return PerSample(total, error.weight)


def min_snr(
    schedule: schedules.Schedule,
    kind: str,
    output: Float[Array, "B h w O"],
    x0: Float[Array, "B h w C"],
    noise: Float[Array, "B h w C"],
    t: Int[Array, " B"],
    *,
    gamma: float = 5.0,
) -> PerSample:
    """`mse` weighted by min(snr, gamma) / snr, plus the bound where sigma is learned.

    The weight is the released code's for every kind; Hang et al. 2023 divide by
    snr + 1 for v-prediction.
    """
    weight = schedules.at(np.minimum(schedule.snr, gamma) / schedule.snr, t, ndim=1)
    error = mse(schedule, kind, output, x0, noise, t)
    total = error.value_sum * weight
    if output.shape[-1] == 2 * x0.shape[-1]:
        vb = _bound(schedule, kind, output, x0, noise, t, freeze_mean=True)
        total = total + vb * schedule.num_steps / 1000.0 * error.weight
    return PerSample(total, error.weight)


def kl(
    schedule: schedules.Schedule,
    kind: str,
    output: Float[Array, "B h w O"],
    x0: Float[Array, "B h w C"],
    noise: Float[Array, "B h w C"],
    t: Int[Array, " B"],
) -> PerSample:
    """The variational bound alone, training mean and variance (L_vlb)."""
    return _per_sample(
        _bound(schedule, kind, output, x0, noise, t, freeze_mean=False), x0
    )


Loss = Callable[..., PerSample]
LOSSES: dict[str, Loss] = {"mse": mse, "hybrid": hybrid, "min_snr": min_snr, "kl": kl}


def named(name: str) -> Loss:
    """The loss of that name. Raises BridgeError with the valid names."""
    if name not in LOSSES:
        raise BridgeError(
            f"diffusion loss {name!r} is unknown: use one of {', '.join(LOSSES)}"
        )
    return LOSSES[name]


def _coefficients(
    schedule: schedules.Schedule, t: jax.Array, ndim: int
) -> tuple[jax.Array, jax.Array]:
    return schedules.at(schedule.signal, t, ndim), schedules.at(schedule.sigma, t, ndim)


def _bound(
    schedule: schedules.Schedule,
    kind: str,
    output: jax.Array,
    x0: jax.Array,
    noise: jax.Array,
    t: jax.Array,
    *,
    freeze_mean: bool,
) -> jax.Array:
    if output.shape[-1] != 2 * x0.shape[-1]:
        raise BridgeError(
            f"this loss needs learned variances: the denoiser has {output.shape[-1]} "
            f"output channels, not {2 * x0.shape[-1]}; set learn_sigma or use 'mse'"
        )
    output = output.astype(jnp.float32)
    prediction, variance = targets.split_variance(output, x0.shape[-1])
    if freeze_mean:
        prediction = jax.lax.stop_gradient(prediction)
    x_t = q_sample(schedule, x0, noise, t)
    return bound.bits_per_dimension(
        schedule, kind, prediction, variance, x0.astype(jnp.float32), x_t, t
    )


def _mean(values: jax.Array) -> jax.Array:
    return jnp.mean(values, axis=tuple(range(1, values.ndim)))


def _per_sample(means: jax.Array, x0: jax.Array) -> PerSample:
    weight = jnp.full(means.shape, math.prod(x0.shape[1:]), jnp.float32)
    return PerSample(means * weight, weight)
