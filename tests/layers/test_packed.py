"""Kernels by name give what XLA gives; splash is interpreted here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo as cudnn

from bridge_jax.core import hardware
from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import packed
from bridge_jax.sharding import place

CUDNN = "dot_product_attention_fwd_wrapper"
SEGMENTS = np.concatenate(
    [np.full((2, 60), 1), np.full((2, 70), 2), np.zeros((2, 20))], axis=1
).astype(np.int32)


def drawn(rows=2, heads=4, shared=2, length=150, keys=150, width=40, dtype="float32"):
    rng = np.random.default_rng(0)
    shapes = (rows, heads, length, width), (rows, shared, keys, width)
    q, k, v = (rng.normal(size=shapes[i > 0]) for i in range(3))
    return tuple(jnp.asarray(x, dtype) for x in (q, k, v))


def run(kernel, q, k, v, segments=None, causal=False):
    """Output where it means something, and its gradients."""

    def masked(q, k, v):
        seen = None
        if segments is not None:
            seen = packed.sight(jnp.asarray(segments), causal, kernel)
        out = packed.attend(q, k, v, seen, causal=causal, kernel=kernel)
        if segments is None:
            return out
        return jnp.where((segments != 0)[:, None, :, None], out, 0.0)

    def loss(*qkv):
        return jnp.sum(jnp.sin(masked(*qkv).astype(jnp.float32)))

    return masked(q, k, v), *jax.grad(loss, (0, 1, 2))(q, k, v)


# Not where a test changes the hardware between two calls: this would remember.
compiled = jax.jit(run, static_argnames=("kernel", "causal"))


@pytest.mark.parametrize("causal", [False, True])
def test_splash_sees_what_xla_sees(causal):
    qkv = drawn()
    wanted = compiled("xla", *qkv, SEGMENTS, causal)
    found = compiled("splash", *qkv, SEGMENTS, causal)
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_splash_without_segments_sees_all_keys_and_no_padding():
    qkv = drawn(keys=333)
    wanted, found = compiled("xla", *qkv), compiled("splash", *qkv)
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


# Four devices share rows: those that they do not divide are everyone's.
@pytest.mark.parametrize("rows", [1, 3, 4])
def test_splash_is_cut_by_rows_and_heads(rows):
    qkv = drawn(rows=rows, length=128, keys=128)
    segments = np.repeat([[1], [1], [2], [1]], 128, 1).astype(np.int32)[:rows]
    wanted = compiled("xla", *qkv, segments, True)
    layout = place.make({"data": 2, "fsdp": 2, "tensor": 2}, "fsdp_tp")
    with layout.scope():
        found = jax.jit(lambda *qkv: run("splash", *qkv, segments, True))(*qkv)
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_auto_is_xla_here_and_splash_for_tpus(monkeypatch):
    qkv = drawn(length=20, keys=20)
    found, wanted = compiled("auto", *qkv)[0], compiled("xla", *qkv)[0]
    np.testing.assert_array_equal(found, wanted)
    monkeypatch.setattr(hardware, "platform", lambda: "tpu")
    segments = jnp.ones((2, 20), jnp.int32)
    assert packed.sight(segments, True, "auto").shape == (2, 20)
    assert packed.sight(segments, True, "xla").shape == (2, 1, 20, 20)


def test_cudnn_says_which_types_it_has():
    with pytest.raises(BridgeError, match="needs dtype bfloat16 or float16"):
        packed.attend(*drawn(), kernel="cudnn")
    assert packed.problems("cudn") == [
        "attention 'cudn' must be one of xla, splash, cudnn, auto"
    ]


@pytest.fixture
def traced_for_a_gpu(monkeypatch):
    """Lets cuDNN's attention be traced where there is no card to run it on."""
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91900)
    monkeypatch.setattr(cudnn, "check_compute_capability", lambda capability: True)


def primitives(kernel, q, k, v, segments=None, causal=False):
    function = jax.make_jaxpr(lambda *qkv: run(kernel, *qkv, segments, causal))
    return str(function(q, k, v))


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ({}, True),
        ({"keys": 151}, True),
        ({"length": 151}, False),
        ({"width": 36}, False),
        ({"dtype": "float32"}, False),
    ],
)
def test_auto_is_cudnn_on_gpus_for_what_it_has(
    traced_for_a_gpu, monkeypatch, changes, chosen
):
    qkv = drawn(**{"dtype": "bfloat16"} | changes)
    assert CUDNN not in primitives("auto", *qkv)
    monkeypatch.setattr(hardware, "has_cudnn", lambda: True)
    assert (CUDNN in primitives("auto", *qkv)) == chosen


def test_cudnn_masks_by_segments_and_knows_what_is_causal(traced_for_a_gpu):
    qkv = drawn(dtype="bfloat16")
    packed_rows = primitives("cudnn", *qkv, SEGMENTS, True)
    assert packed_rows.count("MaskType.CAUSAL") > packed_rows.count("NO_MASK") == 0
    assert "variadic_args=(True" in packed_rows  # the mask is its bias
    alone = primitives("cudnn", *qkv)
    assert "CAUSAL" not in alone
    assert "variadic_args=(False" in alone


def test_an_odd_number_of_keys_is_filled_up_with_one_that_nobody_sees(
    traced_for_a_gpu, monkeypatch
):
    seen = []

    def plain(q, k, v, *, mask, is_causal, implementation):
        seen.append((k.shape[1], mask))
        heads_first = (x.transpose(0, 2, 1, 3) for x in (q, k, v))
        return packed.attention.attend(*heads_first, mask=mask).transpose(0, 2, 1, 3)

    monkeypatch.setattr(jax.nn, "dot_product_attention", plain)
    monkeypatch.setattr(packed, "_HALF", (jnp.float32,))
    q, k, v = drawn(keys=33, length=20)
    found = packed.attend(q, k, v, kernel="cudnn")
    np.testing.assert_allclose(found, packed.attend(q, k, v), atol=1e-6)
    [(keys, mask)] = seen
    assert keys == 34
    assert mask.shape == (1, 1, 20, 34)
    assert not mask[..., -1].any()
