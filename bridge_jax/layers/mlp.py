"""Activations by the names that published configs use, and the plainest MLP."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.layers import linear


def quick_gelu(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """x * sigmoid(1.702 x) (CLIP, the Qwen2-VL vision tower)."""
    return x * jax.nn.sigmoid(1.702 * x)


def gelu_exact(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """x * Phi(x), by the error function."""
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """The tanh approximation of GELU ("gelu_new" in T5)."""
    return jax.nn.gelu(x, approximate=True)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "quick_gelu": quick_gelu,
    "gelu": gelu_exact,
    "gelu_tanh": gelu_tanh,
    "silu": jax.nn.silu,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
}


def activation(name: str) -> Callable[[jax.Array], jax.Array]:
    """The activation of that name; KeyError lists nothing, configs are checked."""
    return ACTIVATIONS[name]


class TwoLayers(nn.Module):
    """Linear, exact GELU, Linear."""

    inner: int
    out: int
    dtype: str = "float32"
    param_dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        """x [..., in] -> [..., out]."""
        hidden = self._dense(self.inner, ("embed", "mlp"), "inner")(x)
        return self._dense(self.out, ("mlp", "embed"), "outer")(gelu_exact(hidden))

    def _dense(self, width: int, axes: tuple[str, str], name: str) -> linear.Dense:
        return linear.Dense(
            width,
            use_bias=True,
            dtype=types.dtype(self.dtype),
            param_dtype=types.dtype(self.param_dtype),
            axes=axes,
            name=name,
        )
