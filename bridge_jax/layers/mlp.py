"""The plainest MLP."""

import flax.linen as nn
from jaxtyping import Float

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.layers import activations, linear


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
        return self._dense(self.out, ("mlp", "embed"), "outer")(
            activations.gelu_exact(hidden)
        )

    def _dense(self, width: int, axes: tuple[str, str], name: str) -> linear.Dense:
        return linear.Dense(
            width,
            use_bias=True,
            dtype=types.dtype(self.dtype),
            param_dtype=types.dtype(self.param_dtype),
            axes=axes,
            name=name,
        )
