import jax.numpy as jnp
import pytest
import shape_checks
from jaxtyping import Array, Float, TypeCheckError, jaxtyped

from bridge_jax.layers import attention, rope
from bridge_jax.objectives import semantic


@jaxtyped(typechecker=shape_checks.check)
def add(x: Float[Array, "B D"], y: Float[Array, "B D"], z: int) -> Float[Array, "B D"]:
    return x + y


def test_shapes_in_signatures_are_checked_and_other_types_are_not():
    add(jnp.ones((2, 3)), jnp.ones((2, 3)), "no integer")
    with pytest.raises(TypeCheckError):
        add(jnp.ones((2, 3)), jnp.ones((3, 2)), 1)


@jaxtyped(typechecker=shape_checks.check)
def both(
    x: Float[Array, "B D"], y: Float[Array, " B"] | None = None, number=None
) -> tuple[Float[Array, "B D"], object]:
    return (x if number is None else x[:number]), y


def test_what_may_be_none_and_what_comes_in_tuples_is_checked():
    x = jnp.ones((2, 3))
    both(x)
    both(x, x[:, 0])
    both(x, None, 2)
    with pytest.raises(TypeCheckError, match="parameter 'y'"):
        both(x, x[0])
    with pytest.raises(TypeCheckError, match="return value"):
        both(x, None, 1)


def test_shapes_that_were_seen_are_not_looked_at_twice_and_others_are():
    looked_at = []

    def counting(function):
        looked_at.append(function.__name__)
        return shape_checks.check(function)

    def first(x: Float[Array, "B D"], rows: int) -> Float[Array, "B D"]:
        return x[:rows]

    checked = shape_checks.once_a_shape(first, counting)
    x = jnp.ones((2, 3))
    checked(x, 2)
    so_far = len(looked_at)
    checked(x, rows=2)
    assert len(looked_at) == so_far
    checked(x[:, :2], 2)
    for wrong, rows in ((x, 1), (x[:, :2], 1), (x[0], 1)):
        with pytest.raises(TypeCheckError, match="first"):
            checked(wrong, rows)


def test_our_own_signatures_are_checked():
    states = jnp.ones((2, 3, 8))
    semantic.semantic_mse(states, states)
    with pytest.raises(TypeCheckError, match="semantic_mse"):  # which would broadcast
        semantic.semantic_mse(states, states[:, :1])
    heads, one = jnp.ones((2, 4, 3, 8)), jnp.ones((1, 1, 3, 8))
    assert rope.apply_half(heads, one, one).shape == heads.shape
    with pytest.raises(TypeCheckError, match="apply_half"):
        rope.apply_half(heads, one[:, :, :1], one[:, :, :1])
    keys = heads[:, :2]
    assert attention.attend(heads, keys, keys).shape == heads.shape
    with pytest.raises(TypeCheckError, match="attend"):
        attention.attend(heads, keys, keys[:1])


def test_what_declares_no_array_is_left_as_it_is():
    def twice(x: int) -> int:
        return 2 * x

    checked = jaxtyped(typechecker=shape_checks.check)
    assert checked(twice) is twice
    assert checked(add.__wrapped__) is not add.__wrapped__
