"""Activations, by the names that published configs use.

Those of half precision are computed in float32 and rounded once, as torch does it:
rounded at every step they lose digits, and a CPU takes several times as long
(bench/NOTES.md).
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array

Activation = Callable[[jax.Array], jax.Array]


def _rounded_once(exact: Activation) -> Activation:
    """`exact`, of half precision by way of float32; backward keeps the input alone."""

    @jax.custom_vjp
    def rounded(x: jax.Array) -> jax.Array:
        return exact(x.astype(jnp.float32)).astype(x.dtype)

    def forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return rounded(x), x

    def backward(x: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
        x = jax.lax.optimization_barrier(x)  # or XLA keeps what forward made of it
        _, pull = jax.vjp(exact, x.astype(jnp.float32))
        (share,) = pull(gradient.astype(jnp.float32))
        return (share.astype(x.dtype),)

    rounded.defvjp(forward, backward)
    return functools.wraps(exact)(rounded)


@_rounded_once
def quick_gelu(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """x * sigmoid(1.702 x) (CLIP, the Qwen2-VL vision tower)."""
    return x * jax.nn.sigmoid(1.702 * x)


@_rounded_once
def gelu_exact(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """x * Phi(x), by the error function."""
    return jax.nn.gelu(x, approximate=False)


@_rounded_once
def gelu_tanh(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """The tanh approximation of GELU ("gelu_new" in T5)."""
    return jax.nn.gelu(x, approximate=True)


@_rounded_once
def silu(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """x * sigmoid(x), which is also called swish."""
    return jax.nn.silu(x)


@_rounded_once
def tanh(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """The hyperbolic tangent."""
    return jnp.tanh(x)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def gated(
    activation: Activation, gate: Float[Array, "*S"], up: Float[Array, "*S"]
) -> Float[Array, "*S"]:
    """activation(gate) * up; backward keeps gate and up alone."""
    return activation(gate) * up


def _gated_kept(activation, gate, up):
    return gated(activation, gate, up), (gate, up)


def _gated_back(activation, kept, gradient):
    kept = jax.lax.optimization_barrier(kept)
    _, pull = jax.vjp(lambda gate, up: activation(gate) * up, *kept)
    return pull(gradient)


gated.defvjp(_gated_kept, _gated_back)


ACTIVATIONS: dict[str, Activation] = {
    "quick_gelu": quick_gelu,
    "gelu": gelu_exact,
    "gelu_tanh": gelu_tanh,
    "silu": silu,
    "relu": jax.nn.relu,
    "tanh": tanh,
}


def named(name: str) -> Activation:
    """The activation of that name; KeyError lists nothing, configs are checked."""
    return ACTIVATIONS[name]
