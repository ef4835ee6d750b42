"""Low-rank adapters: nothing changes at first, and only they receive gradients."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import linear, lora


class TwoLayers(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = linear.Dense(6, use_bias=True, name="first")(x)
        return linear.Dense(3, axes=("mlp", "embed"), name="second")(nn.relu(x))


@pytest.fixture
def boxed():
    return TwoLayers().init(jax.random.key(0), jnp.ones((1, 4)))["params"]


def test_fresh_adapters_change_nothing(boxed):
    params = nn.unbox(boxed)
    adapters = lora.init(params, ["first", "second"], 2, jax.random.key(1))
    merged = lora.merge(params, adapters, 0.5)
    assert jax.tree.structure(merged) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, merged, params)


def test_merging_adds_the_scaled_product(boxed):
    params = nn.unbox(boxed)
    adapters = lora.init(params, ["first/kernel"], 2, jax.random.key(1))
    assert adapters.keys() == {"first"}
    factors = adapters["first"]["kernel"]
    factors["up"] = jnp.ones((2, 6))
    merged = lora.merge(params, adapters, 0.5)
    expected = params["first"]["kernel"] + 0.5 * factors["down"] @ factors["up"]
    np.testing.assert_allclose(merged["first"]["kernel"], expected, rtol=1e-6)
    np.testing.assert_array_equal(
        merged["second"]["kernel"], params["second"]["kernel"]
    )


def test_training_adapters_lowers_a_loss_and_leaves_params_alone(boxed):
    params = nn.unbox(boxed)
    before = jax.tree.map(np.array, params)
    adapters = lora.init(params, ["kernel"], 2, jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (16, 4))
    y = jax.random.normal(jax.random.key(3), (16, 3))

    @jax.jit
    def loss(adapters):
        adapted = lora.attach(params, adapters, 1.0)
        return jnp.mean((TwoLayers().apply({"params": adapted}, x) - y) ** 2)

    first = loss(adapters)
    step = jax.jit(
        lambda a: jax.tree.map(lambda w, g: w - 0.1 * g, a, jax.grad(loss)(a))
    )
    for _ in range(20):
        adapters = jax.block_until_ready(step(adapters))
    assert loss(adapters) < 0.9 * first
    jax.tree.map(np.testing.assert_array_equal, params, before)


def test_attached_is_merged_without_gradients_of_whole_kernels(boxed):
    params = nn.unbox(boxed)
    adapters = lora.init(params, ["kernel"], 2, jax.random.key(1))
    draw = np.random.default_rng(0)
    adapters = jax.tree.map(
        lambda leaf: jnp.asarray(draw.normal(size=leaf.shape), jnp.float32), adapters
    )
    x = jax.random.normal(jax.random.key(2), (16, 4))

    def loss(adapters, join):
        found = TwoLayers().apply({"params": join(params, adapters, 0.5)}, x)
        return jnp.square(found).sum()

    one, other = (
        jax.value_and_grad(loss)(adapters, join) for join in (lora.attach, lora.merge)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), one, other)
    products = str(
        jax.make_jaxpr(jax.grad(loss), static_argnums=1)(adapters, lora.attach)
    )
    # The kernel's own shape stands there as an input, and as no result.
    made = re.findall(r":f32\[4,6\] = (\w+)", products)
    assert "dot_general" not in made, made
    whole = str(jax.make_jaxpr(jax.grad(loss), static_argnums=1)(adapters, lora.merge))
    assert "dot_general" in re.findall(r":f32\[4,6\] = (\w+)", whole)


def test_a_kernel_keeps_its_dtype_and_its_draw(boxed):
    params = jax.tree.map(lambda w: w.astype(jnp.bfloat16), nn.unbox(boxed))
    both = lora.init(params, ["first", "second"], 2, jax.random.key(1))
    one = lora.init(params, ["second"], 2, jax.random.key(1))
    np.testing.assert_array_equal(
        both["second"]["kernel"]["down"], one["second"]["kernel"]["down"]
    )
    assert one["second"]["kernel"]["down"].dtype == jnp.float32
    assert lora.merge(params, one, 1.0)["second"]["kernel"].dtype == jnp.bfloat16


def test_adapters_inherit_axis_names(boxed):
    adapters = lora.init(boxed, ["second"], 2, jax.random.key(1))
    factors = adapters["second"]["kernel"]
    assert factors["down"].names == ("mlp", "lora")
    assert factors["up"].names == ("lora", "embed")


def test_mistakes_are_named(boxed):
    params = nn.unbox(boxed)
    key = jax.random.key(1)
    with pytest.raises(BridgeError, match="match no kernel: third"):
        lora.init(params, ["first", "third"], 2, key)
    with pytest.raises(BridgeError, match="rank must be at least 1"):
        lora.init(params, ["first"], 0, key)
    adapters = lora.init(params, ["first"], 2, key)
    for join in (lora.merge, lora.attach):
        with pytest.raises(BridgeError, match="no such kernels: first/kernel"):
            join({"second": params["second"]}, adapters, 1.0)
