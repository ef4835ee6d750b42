"""The attention that this card runs, against the plain one in float32."""

import jax
import jax.numpy as jnp

from bridge_jax.core import hardware
from bridge_jax.layers import packed

# Heads, groups, positions, width: of the LLM, the tower and the decoder's texts.
SHAPES = {
    "causal": (28, 4, 1024, 1024, 128),
    "packed": (16, 16, 1296, 1296, 80),
    "texts": (16, 16, 1024, 333, 88),
}
LARGEST = 2e-2  # of the largest value, that half precision may be off


def errors() -> dict[str, float]:
    """Largest difference of outputs and gradients, relative to the largest value.

    Raises:
      ArithmeticError: one is more than half precision explains.
    """
    found = {name: _error(name, *shape) for name, shape in SHAPES.items()}
    if wrong := {name: one for name, one in found.items() if not one <= LARGEST}:
        raise ArithmeticError(f"attention on {hardware.platform()} is off: {wrong}")
    return found


def _error(name: str, heads: int, shared: int, length: int, keys: int, width: int):
    drawn = jax.random.split(jax.random.key(0), 3)
    q = jax.random.normal(drawn[0], (2, heads, length, width), jnp.bfloat16)
    k, v = (
        jax.random.normal(key, (2, shared, keys, width), jnp.bfloat16)
        for key in drawn[1:]
    )
    # Two sequences a row and some padding, or everything.
    marks = jnp.arange(length) * 3 // length
    segments = jnp.broadcast_to((marks + 1) % 3, (2, length))
    causal = name == "causal"

    def total(kernel: str):
        seen = packed.sight(segments, causal, kernel) if length == keys else None

        def out(q, k, v):
            made = packed.attend(q, k, v, seen, causal=causal, kernel=kernel)
            real = (segments != 0)[:, None, :, None] if length == keys else True
            made = jnp.where(real, made.astype(jnp.float32), 0.0)
            return jnp.sum(jnp.sin(made)), made

        return jax.jit(jax.grad(out, argnums=(0, 1, 2), has_aux=True))

    wide = [one.astype(jnp.float32) for one in (q, k, v)]
    with jax.default_matmul_precision("float32"):
        expected = jax.tree.leaves(total("xla")(*wide))
    made = jax.tree.leaves(total("auto")(q, k, v))
    return max(
        float(jnp.abs(a.astype(jnp.float32) - b).max() / jnp.abs(b).max())
        for a, b in zip(made, expected, strict=True)
    )
