"""Rules of optimisers on half precision: read in float32, rounded once a step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy

from bridge_jax.core import term
from bridge_jax.train import optim, steady, step
from bridge_jax.train import state as state_lib

B1, B2, EPS = 0.9, 0.95, 1e-8
RULES = {
    "adamw": optax.scale_by_adam(B1, B2, EPS),
    "lion": optax.scale_by_lion(B1, B2),
}


def numbers(count, scale=1.0):
    rng = np.random.default_rng(1)
    return [
        jnp.asarray(scale * rng.normal(size=(5, 7)), jnp.bfloat16) for _ in range(count)
    ]


@pytest.mark.parametrize("name", RULES)
def test_moments_of_half_precision_are_rounded_once_a_step(name):
    """Each is optax's in float32, from what the state before was rounded to."""
    config = optim.OptimConfig(
        name=name, b1=B1, b2=B2, eps=EPS, clip_norm=0.0, schedule="constant"
    )
    (value,) = numbers(1)
    params = {"kernel": value}
    mine = optim.make(config, params, total_steps=9).transform
    state = mine.init(params)
    theirs = RULES[name].init(params)
    for gradient in numbers(6, 0.1):
        gradients = {"kernel": gradient}
        updates, state = mine.update(gradients, state, params, good=jnp.bool_(True))
        wanted, new = RULES[name].update(steady.wide(gradients), steady.wide(theirs))
        if name == "adamw":  # the moments that stay are those that are used
            new = jax.tree.map(lambda a, b: b.astype(a.dtype), theirs, new)
            mean = optax.tree.bias_correction(steady.wide(new.mu), B1, new.count)
            square = optax.tree.bias_correction(steady.wide(new.nu), B2, new.count)
            wanted = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + EPS), mean, square)
        theirs = jax.tree.map(lambda a, b: b.astype(a.dtype), theirs, new)
        assert updates["kernel"].dtype == jnp.float32
        np.testing.assert_allclose(
            updates["kernel"], -config.learning_rate * wanted["kernel"], rtol=1e-6
        )
        for found, one in zip(
            jax.tree.leaves(state[0]), jax.tree.leaves(theirs), strict=True
        ):
            assert found.dtype == one.dtype
            np.testing.assert_array_equal(found, one)
    kept = [leaf.dtype for leaf in jax.tree.leaves(state) if leaf.ndim]
    assert kept and set(kept) == {jnp.dtype(jnp.bfloat16)}


def test_a_decay_of_half_precision_is_not_rounded():
    config = optim.OptimConfig(weight_decay=0.01, clip_norm=0.0, schedule="constant")
    (value,) = numbers(1)
    rule = optim.make(config, {"kernel": value}, total_steps=9).transform
    nothing = {"kernel": jnp.zeros_like(value)}
    updates, _ = rule.update(
        nothing, rule.init({"kernel": value}), {"kernel": value}, good=jnp.bool_(True)
    )
    wanted = -config.learning_rate * 0.01 * value.astype(jnp.float32)
    np.testing.assert_allclose(updates["kernel"], wanted, rtol=1e-6)


def test_a_gradient_of_half_precision_is_measured_in_float32():
    where = toy.layout(1)
    state, _ = toy.fresh(where)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), state.params)
    optimizer = optim.make(optim.OptimConfig(), half, total_steps=9)
    (shares,) = numbers(1)

    def loss(params, batch, rngs, at):
        kernel = params["first"]["kernel"]
        value = jnp.sum((kernel[:5, :7] * batch["shares"]).astype(jnp.float32))
        return {"sum": (1.0, term.Term(value, jnp.float32(1)))}

    made = state_lib.create(half, optimizer, 0, where)
    made, figures = step.Step(loss, optimizer, where)(made, {"shares": shares})
    norm, _ = figures["gradient_norm"]
    wanted = np.linalg.norm(np.asarray(shares, np.float64))
    assert norm.dtype == jnp.float32
    np.testing.assert_allclose(norm, wanted, rtol=1e-6)
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(made.params))
