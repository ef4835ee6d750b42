"""What a denoiser predicts (eps, v or x0) and how each becomes the others.

Everywhere x_t = signal x0 + sigma noise with signal^2 + sigma^2 = 1, and `signal` and
`sigma` are scalars or have the rank of x_t. v = signal noise - sigma x0 (Salimans & Ho
2022, appendix D).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array

KINDS = ("eps", "v", "x0")


def check(kind: str) -> None:
    """Raises BridgeError for a prediction kind that is not eps, v or x0."""
    if kind not in KINDS:
        raise BridgeError(
            f"prediction {kind!r} is unknown: use one of {', '.join(KINDS)}"
        )


def target(
    kind: str,
    x0: Float[Array, "*S"],
    noise: Float[Array, "*S"],
    signal: jax.Array,
    sigma: jax.Array,
) -> Float[Array, "*S"]:
    """The regression target of that kind, shaped as x0."""
    check(kind)
    if kind == "eps":
        return noise
    if kind == "x0":
        return x0
    return signal * noise - sigma * x0


def to_x0(
    kind: str,
    output: Float[Array, "*S"],
    x_t: Float[Array, "*S"],
    signal: jax.Array,
    sigma: jax.Array,
) -> Float[Array, "*S"]:
    """The clean sample that a prediction of that kind implies."""
    check(kind)
    if kind == "x0":
        return output
    if kind == "eps":
        return (x_t - sigma * output) / signal
    return signal * x_t - sigma * output


def to_eps(
    kind: str,
    output: Float[Array, "*S"],
    x_t: Float[Array, "*S"],
    signal: jax.Array,
    sigma: jax.Array,
) -> Float[Array, "*S"]:
    """The noise that a prediction of that kind implies."""
    check(kind)
    if kind == "eps":
        return output
    if kind == "x0":
        return (x_t - signal * output) / sigma
    return signal * output + sigma * x_t


def split_variance(
    output: Float[Array, "*B O"], channels: int
) -> tuple[Float[Array, "*B C"], Float[Array, "*B V"]]:
    """[..., 2C] -> prediction [..., C] and variance values [..., C].

    A learned-sigma denoiser appends the variance values. They are dropped before
    guidance and sampling: the samplers use fixed variances. An output of C channels
    has an empty second part.
    """
    if output.shape[-1] not in (channels, 2 * channels):
        raise BridgeError(
            f"denoiser output has {output.shape[-1]} channels, expected {channels} or "
            f"{2 * channels} (learned sigma): check in_channels and learn_sigma"
        )
    prediction, variance = jnp.split(output, (channels,), axis=-1)
    return prediction, variance
