"""Dense, embedding and convolution: the one file that boxes parameters.

Every parameter carries logical axis names ("embed", "mlp", "heads", ...); a named
table in `sharding/rules.py` maps them to mesh axes. Models never see a mesh.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import ScopeParamShapeError
from jaxtyping import Float, Int, Shaped

from bridge_jax.core.types import Array
from bridge_jax.layers import convolution, outline, products, shared

Axis = str | None
Initialiser = Callable[..., jax.Array]

# Names of the two factors that `lora.attach` leaves beside a kernel.
LOW_RANK = ("kernel_down", "kernel_up")

# Names of the scales that `int8.quantize` leaves beside a matrix.
SCALES = {"kernel": "kernel_scale", "embedding": "embedding_scale"}

fan_in_normal = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


def param(
    module: nn.Module,
    name: str,
    init: Initialiser,
    shape: Sequence[int],
    axes: Sequence[Axis],
    dtype: Any = jnp.float32,
) -> Shaped[Array, "..."]:
    """A parameter of `module` boxed with one logical axis name a dimension.

    One that is there is looked up here: flax would trace `init` to know its shape, a
    quarter of the time that a training step takes to trace. Nor is `init` traced where
    an outline is wanted.

    Raises:
      ScopeParamShapeError: it is there in another shape.
    """
    if module.has_variable("params", name):
        value = nn.meta.unbox(module.get_variable("params", name))
        if value.shape != tuple(shape):
            where = module.scope.path_text
            raise ScopeParamShapeError(name, where, value.shape, tuple(shape))
        return value
    if outline.is_wanted():
        init = nn.initializers.zeros
    boxed = nn.with_logical_partitioning(init, tuple(axes))
    return module.param(name, boxed, tuple(shape), jnp.dtype(dtype))


def constrain(x: Shaped[Array, "*S"], axes: Sequence[Axis]) -> Shaped[Array, "*S"]:
    """Ask for a logical sharding of an activation; no effect without rules."""
    return nn.with_logical_constraint(x, tuple(axes))


class Dense(nn.Module):
    """y = x @ kernel (+ bias) over the last axis.

    With two factors beside the kernel (see `lora`), y gets x @ down @ up, too; with
    scales beside it (see `int8`), its columns are that much larger.

    Leading axes are flattened to one: XLA on CPU takes 1.7x as long for the backward
    pass of a 3-D matmul as for the same work in 2-D.
    """

    features: int
    axes: tuple[Axis, Axis] = ("embed", "mlp")
    use_bias: bool = False
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    kernel_init: Initialiser = fan_in_normal
    bias_init: Initialiser = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        """x [..., in] -> [..., features] in `dtype`."""
        width = x.shape[-1]
        kernel = param(
            self,
            "kernel",
            self.kernel_init,
            (width, self.features),
            self.axes,
            self.param_dtype,
        )
        flat = x.reshape(-1, width).astype(self.dtype)
        y = products.product(flat, kernel.astype(self.dtype))
        if self.has_variable("params", SCALES["kernel"]):
            scale = self.get_variable("params", SCALES["kernel"])
            y = (y * scale[None]).astype(self.dtype)
        if self.has_variable("params", LOW_RANK[0]):
            down, up = (self.get_variable("params", name) for name in LOW_RANK)
            low = products.product(flat, down.astype(self.dtype))
            y = y + products.product(low, up.astype(self.dtype))
        if self.use_bias:
            bias = param(
                self,
                "bias",
                self.bias_init,
                (self.features,),
                (self.axes[1],),
                self.param_dtype,
            )
            y = shared.add(y, bias[None])
        return y.reshape(*x.shape[:-1], self.features)


class Embed(nn.Module):
    """A table of vectors, [vocab, features].

    With scales beside it (see `int8`), its rows are that much larger.
    """

    num_embeddings: int
    features: int
    axes: tuple[Axis, Axis] = ("vocab", "embed")
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    embedding_init: Initialiser = nn.initializers.normal(0.02)

    def setup(self):
        self.embedding = param(
            self,
            "embedding",
            self.embedding_init,
            (self.num_embeddings, self.features),
            self.axes,
            self.param_dtype,
        )

    def __call__(self, ids: Int[Array, "*B"]) -> Float[Array, "*B D"]:
        """ids [...] int -> [..., features]."""
        rows = jnp.take(self.embedding, ids, axis=0)
        if (scale := self._scale()) is not None:
            rows = rows * jnp.take(scale, ids, axis=0)[..., None]
        return rows.astype(self.dtype)

    def attend(self, x: Float[Array, "*B D"]) -> Float[Array, "*B V"]:
        """Tied output head: x [..., features] -> float32 scores [..., vocab]."""
        flat = x.reshape(-1, self.features).astype(self.dtype)
        table = self.embedding.astype(self.dtype)
        score = _scores if table.dtype == jnp.float32 else _half_scores
        scores = score(flat, table)
        if (scale := self._scale()) is not None:
            scores = scores * scale[None]
        return scores.reshape(*x.shape[:-1], self.num_embeddings)

    def _scale(self) -> jax.Array | None:
        name = SCALES["embedding"]
        if not self.has_variable("params", name):
            return None
        return self.get_variable("params", name)


def _scores(x: jax.Array, table: jax.Array) -> jax.Array:
    """x [N, D], table [V, D] -> float32 [N, V]."""
    if len(x) == 1:  # for a vector a CPU reads the table faster than for a row
        return jnp.dot(table, x[0], preferred_element_type=jnp.float32)[None]
    return products.of_rows(x, table)


@jax.custom_vjp
def _half_scores(x: jax.Array, table: jax.Array) -> jax.Array:
    """The same of half precision, and its gradients by products of half precision.

    Gradients of scores come in float32: their products with `x` and `table` would be of
    float32, too, the largest of a language model's backward pass, and several times as
    slow as all others.
    """
    return _scores(x, table)


def _kept(x: jax.Array, table: jax.Array) -> tuple[jax.Array, Any]:
    return _scores(x, table), (x, table)


def _back(kept: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, table = kept
    gradient = gradient.astype(x.dtype)
    return products.product(gradient, table), products.of_columns(gradient, x)


_half_scores.defvjp(_kept, _back)


class Conv(nn.Module):
    """2-D convolution, NHWC, with a kernel of 3x3; `convolution` has the kinds."""

    features: int
    convolve: convolution.Convolve = convolution.same
    axes: tuple[Axis, Axis] = ("conv_in", "conv_out")
    use_bias: bool = True
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    kernel_init: Initialiser = fan_in_normal

    @nn.compact
    def __call__(self, x: Float[Array, "B h w I"]) -> Float[Array, "B g v O"]:
        """x [B, h, w, in] -> [B, h', w', features]."""
        kernel = param(
            self,
            "kernel",
            self.kernel_init,
            (3, 3, x.shape[-1], self.features),
            (None, None, *self.axes),
            self.param_dtype,
        )
        y = self.convolve(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            bias = param(
                self,
                "bias",
                nn.initializers.zeros,
                (self.features,),
                (self.axes[1],),
                self.param_dtype,
            )
            y = shared.add(y, bias[None, None, None])
        return y
