import jax.numpy as jnp
import pytest
import shape_checks
from jaxtyping import Array, Float, TypeCheckError, jaxtyped


@jaxtyped(typechecker=shape_checks.check)
def add(x: Float[Array, "B D"], y: Float[Array, "B D"], z: int) -> Float[Array, "B D"]:
    return x + y


def test_shapes_in_signatures_are_checked_and_other_types_are_not():
    add(jnp.ones((2, 3)), jnp.ones((2, 3)), "no integer")
    with pytest.raises(TypeCheckError):
        add(jnp.ones((2, 3)), jnp.ones((3, 2)), 1)
