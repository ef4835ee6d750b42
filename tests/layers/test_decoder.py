"""States asked for at some positions alone are those of all, and cost no more."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import flops, trees
from bridge_jax.layers import kv_cache, packed
from bridge_jax.models import build
from tests import miniature

ROWS, LENGTH = 2, 24
AT = np.array([[3, 3, 9], [22, 0, 17]])  # in any order, and twice


@functools.cache
def made(**given):
    told = {"family": "qwen2_vl", "size": "tiny"} | miniature.PARTS["vlm"] | given
    bundle = build.build({"vlm": told})
    return bundle, miniature.params(bundle)


@functools.cache
def fields():
    """Two sequences a row; padding follows in the first, and stands before a token."""
    tokens = np.random.default_rng(0).integers(10, 200, (ROWS, LENGTH))
    segments = np.repeat([[1, 1, 2, 2], [1, 2, 2, 2]], LENGTH // 4, axis=1)
    segments[0, 20:] = 0
    positions = np.broadcast_to(np.arange(LENGTH), (3, ROWS, LENGTH))
    return {"tokens": tokens, "positions": positions, "segments": segments}


def taken(hidden):
    return jnp.take_along_axis(hidden, jnp.asarray(AT)[..., None], axis=1)


def loss(bundle, params, at=None):
    hidden, _ = bundle.apply("vlm", params, **fields(), at=at)
    states = taken(hidden) if at is None else hidden
    return jnp.sum(jnp.sin(states)), states


@pytest.mark.parametrize(
    "given", [{}, {"scan": True}, {"remat": "full", "scan": True}, {"remat": "dots"}]
)
def test_states_and_gradients_are_those_of_all(given):
    bundle, params = made(**given)

    @functools.partial(jax.jit, static_argnums=1)
    def both(params, asked):
        at = jnp.asarray(AT) if asked else None
        return jax.grad(lambda p: loss(bundle, p, at), has_aux=True)(params)

    (wanted, states), (found, asked) = both(params, False), both(params, True)
    assert asked.shape == (ROWS, AT.shape[1], bundle["vlm"].config.hidden_size)
    np.testing.assert_allclose(asked, states, atol=1e-5)
    moved = trees.flatten(found)
    assert any(np.abs(leaf).max() > 1e-2 for leaf in moved.values())
    for path, one in trees.flatten(wanted).items():
        np.testing.assert_allclose(moved[path], one, atol=2e-5, err_msg=path)


def test_a_cache_holds_all_tokens_whichever_states_are_asked_for():
    bundle, params = made()
    given = fields() | {"segments": np.ones((ROWS, LENGTH), np.int32)}

    @functools.partial(jax.jit, static_argnums=1)
    def read(params, asked):
        cache = kv_cache.empty(bundle["vlm"].config, ROWS, LENGTH + 3)
        at = jnp.asarray(AT) if asked else None
        hidden, out = bundle.apply("vlm", params, **given, cache=cache, at=at)
        return hidden if asked else taken(hidden), out["cache"]

    found, wanted = (jax.tree.leaves(read(params, asked)) for asked in (True, False))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_last_layer_computes_keys_and_values_alone_of_the_others():
    bundle, params = made()
    c = bundle["vlm"].config

    def counted(at):
        traced = jax.jit(lambda p: loss(bundle, p, at)[0]).trace(params)
        return flops.count(traced.jaxpr, ("vlm",)).model

    one_query = 4 * c.heads * c.head_dim * LENGTH
    inner = c.heads * c.head_dim
    one_token = 2 * c.hidden_size * (2 * inner + 3 * c.ffn_size)
    spared = ROWS * (LENGTH - AT.shape[1]) * (one_query + one_token)
    assert counted(None) - counted(jnp.asarray(AT)) == spared


def test_many_states_are_taken_from_all_where_a_kernel_spares_scores(monkeypatch):
    assert packed.are_few(9, 10, "xla") and not packed.are_few(10, 10, "xla")
    assert packed.are_few(512, 512 + 1, "splash") is False
    assert packed.are_few(256, 1024, "splash") and packed.are_few(256, 1024, "cudnn")
    bundle, params = made(attention="splash")
    wanted = loss(made()[0], params)[1]
    few = loss(bundle, params, jnp.asarray(AT))[1]
    asked: list[bool] = []

    def many(*given):
        asked.append(True)
        return False

    monkeypatch.setattr(packed, "are_few", many)
    monkeypatch.setattr(packed, "sight_at", None)
    found = loss(bundle, params, jnp.asarray(AT))[1]
    assert asked
    np.testing.assert_allclose(few, wanted, atol=1e-5)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


SLOTS = LENGTH + 40


def read(bundle, params, fresh, at=None):
    """A prompt's states where it is not padded, and the cache that it leaves."""
    cache = kv_cache.empty(bundle["vlm"].config, ROWS, SLOTS)
    assert cache.fresh
    segments = np.ones((ROWS, LENGTH), np.int32)
    segments[1, :7] = 0
    asked = dict(fields()) | {"segments": segments}
    hidden, out = bundle.apply(
        "vlm", params, **asked, cache=cache.replace(fresh=fresh), at=at
    )
    there = segments if at is None else np.take_along_axis(segments, at, 1)
    return hidden * there[..., None], out["cache"]


@pytest.mark.parametrize("kernel", ["xla", "splash"])
@pytest.mark.parametrize("at", [None, np.array([[3, 23], [23, 9]])])
def test_a_first_prompt_sees_itself_and_no_empty_slots(kernel, at):
    bundle, params = made(attention=kernel)
    wanted, before = read(bundle, params, False, at)
    found, after = read(bundle, params, True, at)
    assert not after.fresh
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    seen = np.asarray(after.valid)[:, None]
    assert seen.sum() == 2 * LENGTH - 7
    for one, other in zip(after.keys, before.keys, strict=True):
        where = seen[:, :, None]
        np.testing.assert_allclose(one * where, other * where, atol=1e-5)
    for one, other in zip(after.values, before.values, strict=True):
        where = seen[..., None]
        np.testing.assert_allclose(one * where, other * where, atol=1e-5)


def test_a_first_prompt_does_not_multiply_empty_slots():
    bundle, params = made()
    c = bundle["vlm"].config

    def counted(fresh):
        traced = jax.jit(lambda p: read(bundle, p, fresh)[0]).trace(params)
        return flops.count(traced.jaxpr, ("vlm",)).model

    one = 4 * c.layers * c.heads * c.head_dim * ROWS * LENGTH
    assert counted(False) - counted(True) == one * (SLOTS - LENGTH)


def test_positions_see_their_own_sequence_up_to_themselves():
    segments = jnp.asarray(fields()["segments"])
    whole = packed.sight(segments, causal=True, kernel="xla")
    at = jnp.asarray(AT)
    wanted = jnp.take_along_axis(whole, at[:, None, :, None], axis=2)
    np.testing.assert_array_equal(packed.sight_at(segments, at), wanted)
    assert wanted.any() and not wanted.all()
