"""The variational bound of a denoiser with learned variances, in bits a dimension.

Nichol & Dhariwal 2021, section 3.1 ("learned range": log-variance between the
posterior's and beta's) with Ho et al. 2020's discretised decoder at t = 0.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from bridge_jax.core.types import Array
from bridge_jax.diffusion import schedules, targets


class Gaussian(NamedTuple):
    """A diagonal Gaussian; all of x's shape or broadcastable to it."""

    mean: jax.Array
    log_variance: jax.Array


def posterior(
    schedule: schedules.Schedule,
    x0: Float[Array, " B *S"],
    x_t: Float[Array, " B *S"],
    t: Int[Array, " B"],
) -> Gaussian:
    """q(x_{t-1} | x_t, x_0); t int [B]."""
    mean = (
        schedules.at(schedule.posterior_mean_coef1, t, x_t.ndim) * x0
        + schedules.at(schedule.posterior_mean_coef2, t, x_t.ndim) * x_t
    )
    log_variance = schedules.at(schedule.posterior_log_variance_clipped, t, x_t.ndim)
    return Gaussian(mean, log_variance)


def predicted(
    schedule: schedules.Schedule,
    kind: str,
    prediction: Float[Array, " B *S"],
    variance: Float[Array, " B *S"],
    x_t: Float[Array, " B *S"],
    t: Int[Array, " B"],
    *,
    clip: bool = False,
) -> tuple[Gaussian, Float[Array, " B *S"]]:
    """p(x_{t-1} | x_t) with a learned-range variance, and the implied x0.

    Args:
      kind: of `prediction`: eps, v or x0.
      variance: [B, ..., C], -1 for the posterior's variance, 1 for beta.
      clip: clip x0 to [-1, 1] (pixel models; latents are not bounded).
    """
    signal = schedules.at(schedule.signal, t, x_t.ndim)
    sigma = schedules.at(schedule.sigma, t, x_t.ndim)
    x0 = targets.to_x0(kind, prediction, x_t, signal, sigma)
    if clip:
        x0 = jnp.clip(x0, -1.0, 1.0)
    mean, low = posterior(schedule, x0, x_t, t)
    high = jnp.log(schedules.at(schedule.betas, t, x_t.ndim))
    fraction = (variance + 1) / 2
    return Gaussian(mean, fraction * high + (1 - fraction) * low), x0


def bits_per_dimension(
    schedule: schedules.Schedule,
    kind: str,
    prediction: Float[Array, " B *S"],
    variance: Float[Array, " B *S"],
    x0: Float[Array, " B *S"],
    x_t: Float[Array, " B *S"],
    t: Int[Array, " B"],
) -> Float[Array, " B"]:
    """One term of the bound, float32 [B]: KL, or the decoder's likelihood at t = 0."""
    true = posterior(schedule, x0, x_t, t)
    model, _ = predicted(schedule, kind, prediction, variance, x_t, t)
    axes = tuple(range(1, x_t.ndim))
    divergence = jnp.mean(_kl(true, model), axis=axes)
    decoder = -jnp.mean(_discretised_log_likelihood(x0, model), axis=axes)
    return jnp.where(t == 0, decoder, divergence) / math.log(2.0)


def _kl(first: Gaussian, second: Gaussian) -> jax.Array:
    gap = first.log_variance - second.log_variance
    distance = jnp.square(first.mean - second.mean) * jnp.exp(-second.log_variance)
    return 0.5 * (-1.0 - gap + jnp.exp(gap) + distance)


@jax.custom_jvp
def _tanh(x: jax.Array) -> jax.Array:
    """tanh to the last bit in the tails, with the derivative 1 - tanh^2.

    The decoder divides a difference of two tails by itself, where nearly all float32
    digits cancel. XLA's own tanh is too coarse for that; this one, and the derivative
    from the rounded value, agree with what released weights were trained on.
    """
    return jnp.sign(x) * (1.0 - 2.0 / (jnp.exp(2.0 * jnp.abs(x)) + 1.0))


@_tanh.defjvp
def _tanh_jvp(primals, tangents):
    value = _tanh(*primals)
    return value, (1.0 - value * value) * tangents[0]


def _normal_cdf(x: jax.Array) -> jax.Array:
    # The tanh approximation, as in the references.
    return 0.5 * (1.0 + _tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _discretised_log_likelihood(x: jax.Array, model: Gaussian) -> jax.Array:
    """log p of x in [-1, 1] quantised to 256 levels, in nats."""
    centred = x - model.mean
    # Half the variance is the log standard deviation.
    precision = jnp.exp(-0.5 * model.log_variance)
    upper = _normal_cdf(precision * (centred + 1.0 / 255.0))
    lower = _normal_cdf(precision * (centred - 1.0 / 255.0))
    mass = jnp.where(
        x < -0.999, upper, jnp.where(x > 0.999, 1.0 - lower, upper - lower)
    )
    return jnp.log(jnp.maximum(mass, 1e-12))
