"""Queries in blocks: the same attention, less arithmetic where it is causal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import flops, hardware
from bridge_jax.layers import attention, packed, query_blocks

HEADS, SHARED, WIDTH = 4, 2, 8


def drawn(queries, keys, shared=SHARED, turned=False):
    draw = np.random.default_rng(0)
    shapes = (2, HEADS, queries, WIDTH), (2, shared, keys, WIDTH)
    q, k, v = (draw.normal(size=shapes[i]).astype(np.float32) for i in (0, 1, 1))
    return q, np.swapaxes(k, 2, 3) if turned else k, v


def both_ways(monkeypatch, attend, *arrays):
    """Result and gradients of (attend's squares, summed), whole and in blocks."""
    made = []
    for one_cpu in (False, True):
        monkeypatch.setattr(hardware, "is_one_cpu", lambda one_cpu=one_cpu: one_cpu)

        def total(*arrays):
            out = attend(*arrays)
            return jnp.sum(jnp.square(out)), out

        made.append(jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))(*arrays))
    return made


def compare(whole, blocks):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
        whole,
        blocks,
    )


@pytest.mark.parametrize(
    "queries, keys, causal, sizes",
    [
        (128, 128, True, [128]),
        (129, 129, True, [64, 65]),
        (258, 258, True, [86, 86, 86]),
        (5000, 5000, True, [625] * 8),
        (256, 256, False, [256]),
        (257, 257, False, [128, 129]),
        (257, 77, False, [257]),
        (384, 384, False, [192, 192]),
        (385, 385, False, [385]),
        (1, 900, False, [1]),
    ],
)
def test_blocks_are_about_alike(queries, keys, causal, sizes, monkeypatch):
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: True)
    found = query_blocks.edges(queries, keys, causal)
    assert found[0][0] == 0 and found[-1][1] == queries
    assert [a for a, _ in found[1:]] == [b for _, b in found[:-1]]
    assert sorted(b - a for a, b in found) == sizes
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: False)
    assert query_blocks.edges(queries, keys, causal) == [(0, queries)]


@pytest.mark.parametrize("shared", [HEADS, SHARED])
def test_packed_rows_attend_alike(shared, monkeypatch):
    length = 300
    segments = np.repeat([[1, 2, 0], [1, 1, 3]], 100, axis=1).astype(np.int32)
    segments[1, :7] = 0
    seen = packed.sight(jnp.asarray(segments), True, "xla")
    there = (segments != 0)[:, None, :, None]

    def attend(q, k, v):
        out = packed.attend(q, k, v, seen, causal=True)
        return jnp.where(there, out, 0)  # anything finite stands at padding

    compare(*both_ways(monkeypatch, attend, *drawn(length, length, shared)))
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: True)
    padded = packed.attend(*drawn(length, length, shared), seen, causal=True)
    assert np.isfinite(padded).all()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("rows, heads, queries", [(1, 1, 1), (2, 1, 260), (1, 4, 260)])
def test_masks_and_biases_are_cut(rows, heads, queries, turned, monkeypatch):
    draw = np.random.default_rng(1)
    mask = draw.random((rows, 1, queries, 230)) < 0.7
    bias = draw.normal(size=(1, heads, queries, 230)).astype(np.float32)

    def attend(q, k, v):
        return attention.attend(q, k, v, mask=mask, bias=bias, turned=turned)

    compare(*both_ways(monkeypatch, attend, *drawn(260, 230, turned=turned)))


@pytest.mark.parametrize("causal, share", [(True, 5 / 8), (False, 1)])
def test_what_nobody_sees_is_not_multiplied(causal, share, monkeypatch):
    arrays = drawn(512, 512)
    seen = jnp.tril(jnp.ones((512, 512), bool))[None, None]
    counts = []
    for one_cpu in (False, True):
        monkeypatch.setattr(hardware, "is_one_cpu", lambda one_cpu=one_cpu: one_cpu)
        traced = jax.jit(
            lambda *a: packed.attend(*a, seen if causal else None, causal=causal)
        ).trace(*arrays)
        counts.append(sum(amount for amount, _ in flops.products(traced.jaxpr)))
    whole, blocks = counts
    assert blocks == pytest.approx(share * whole)
