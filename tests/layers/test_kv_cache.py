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
    shape = (request.param, K, S, D)
    draw = rng.Streams(0, 0)
    return kv.KVCache(
        keys=(jax.random.normal(draw["keys"], shape),),
        values=(jax.random.normal(draw["values"], shape),),
        valid=jnp.ones(shape[:1] + (S,), bool),
        length=jnp.int32(S - 9),
    )


def _turns(carry):
    """A program of nine turns of one layer, whose cache the loop holds by `carry`."""

    def turn(_, state):
        x, cache = state
        cache = kv.unfolded(cache) if carry is kv.folded else cache
        keys = kv.write(cache.keys[0], x, cache.start)
        values = kv.write(cache.values[0], jnp.sin(x), cache.start)
        x = attention.attend(x, keys, values)
        after = cache.replace(keys=(keys,), values=(values,), length=cache.length + 1)
        return x, carry(after)

    @jax.jit
    def run(x, cache):
        return jax.lax.fori_loop(0, 9, turn, (x, carry(cache)))

    return run


def _copies(program, *arguments):
    """Copies of a whole layer, by their operands, in the loop's body."""
    text = program.lower(*arguments).compile().as_text()
    shape = rf"f32\[(1,)?{K},{S},{D}\]"
    return len(re.findall(rf"= {shape}\S* copy\(", text))


def test_turns_are_the_same_however_a_loop_carries_the_cache(cache):
    x = jnp.ones((cache.valid.shape[0], K, 1, D))
    plain, whole = _turns(lambda cache: cache)(x, cache)
    folded, carried = _turns(kv.folded)(x, cache)
    np.testing.assert_array_equal(plain, folded)
    jax.tree.map(np.testing.assert_array_equal, whole, kv.unfolded(carried))


def test_a_turn_copies_no_layer_of_a_single_row():
    shape = (1, K, S, D)
    cache = kv.KVCache(
        (jnp.ones(shape),), (jnp.ones(shape),), jnp.ones((1, S), bool), jnp.int32(0)
    )
    x = jnp.ones((1, K, 1, D))
    plain = _copies(_turns(lambda cache: cache), x, cache)
    # The arguments are copied once, before the loop.
    assert _copies(_turns(kv.folded), x, cache) <= 2 < plain
