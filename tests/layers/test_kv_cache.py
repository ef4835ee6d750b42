"""What a loop carries of a cache."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import rng
from bridge_jax.layers import attention
from bridge_jax.layers import kv_cache as kv

K, S, D = 2, 40, 8


@pytest.fixture(params=[1, 3])
def cache(request):
    rows, draw = request.param, rng.Streams(0, 0)
    return kv.KVCache(
        keys=(jax.random.normal(draw["keys"], (rows, K, D, S)),),
        values=(jax.random.normal(draw["values"], (rows, K, S, D)),),
        valid=jnp.ones((rows, S), bool),
        length=jnp.int32(S - 9),
    )


def _turns(carry):
    """A program of nine turns of one layer, whose cache the loop holds by `carry`."""

    def turn(_, state):
        x, cache = state
        cache = kv.unfolded(cache) if carry is kv.folded else cache
        layer = cache.keys[0], cache.values[0]
        keys, values = kv.write(layer, (x, jnp.sin(x)), cache.start)
        x = attention.attend(x, keys, values, turned=True)
        after = cache.replace(keys=(keys,), values=(values,), length=cache.length + 1)
        return x, carry(after)

    @jax.jit
    def run(x, cache):
        return jax.lax.fori_loop(0, 9, turn, (x, carry(cache)))

    return run


def _copies(program, *arguments):
    """How many copies of a layer's keys or values the program makes."""
    text = program.lower(*arguments).compile().as_text()
    shape = rf"f32\[(1,)?{K},({S},{D}|{D},{S})\]"
    return len(re.findall(rf"= {shape}\S* copy\(", text))


def test_turns_are_the_same_however_a_loop_carries_the_cache(cache):
    x = jnp.ones((cache.valid.shape[0], K, 1, D))
    plain, whole = _turns(lambda cache: cache)(x, cache)
    folded, carried = _turns(kv.folded)(x, cache)
    np.testing.assert_array_equal(plain, folded)
    jax.tree.map(np.testing.assert_array_equal, whole, kv.unfolded(carried))


def test_a_turn_copies_no_layer_of_a_single_row():
    keys, values = jnp.ones((1, K, D, S)), jnp.ones((1, K, S, D))
    cache = kv.KVCache((keys,), (values,), jnp.ones((1, S), bool), jnp.int32(0))
    x = jnp.ones((1, K, 1, D))
    plain = _copies(_turns(lambda cache: cache), x, cache)
    # The arguments are copied once, before the loop.
    assert _copies(_turns(kv.folded), x, cache) <= 2 < plain
