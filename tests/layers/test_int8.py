"""Weights of 8 bits: how far they move, what reads them, and where they lie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import weights
from bridge_jax.layers import int8, linear
from bridge_jax.sharding import place

RNG = np.random.default_rng(0)


def matrices():
    """Columns and rows of very different sizes, one of them nothing."""
    kernel = RNG.normal(size=(24, 16)) * np.logspace(-3, 2, 16)
    kernel[:, 3] = 0
    return {
        "llm": {
            "one": {"kernel": kernel.astype(np.float32), "bias": np.ones(16)},
            "table": {"embedding": RNG.normal(size=(10, 16)).astype(np.float32)},
        },
        "vision": {"kernel": np.ones((3, 4), np.float32)},
    }


def test_no_weight_moves_by_more_than_half_a_step():
    params = matrices()
    found = weights.flatten(int8.quantize(params, "llm/"))
    for path, axis in (("llm/one/kernel", 0), ("llm/table/embedding", 1)):
        values, steps = weights.flatten(params)[path], found[path]
        scale = found[f"{path}_scale"]
        assert steps.dtype == np.int8 and np.abs(steps.astype(int)).max() <= 127
        assert scale.dtype == np.float32 and scale.shape == (values.shape[1 - axis],)
        moved = np.abs(steps * np.expand_dims(scale, axis) - values)
        step = np.abs(values).max(axis=axis, keepdims=True) / 127
        assert (moved <= step / 2 * (1 + 1e-5)).all()
    assert found["vision/kernel"].dtype == np.float32
    assert len(found) == 6


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_layers_read_them(dtype):
    params = matrices()["llm"]
    kernel, x = params["one"]["kernel"], RNG.normal(size=(2, 5, 24)).astype(np.float32)
    dense = linear.Dense(16, use_bias=True, dtype=dtype)
    given = {name: jnp.asarray(v, np.float32) for name, v in params["one"].items()}
    small = int8.quantize(params)
    plain = dense.apply({"params": given}, x)
    found = dense.apply({"params": small["one"]}, x)
    assert found.dtype == plain.dtype == dtype
    most = np.abs(x).sum(-1)[..., None] * (np.abs(kernel).max(0) / 254)
    rough = 0 if dtype == "float32" else 0.02 * np.abs(plain).max((0, 1))
    assert (np.abs(found - plain) <= most * 1.001 + 1e-6 + rough).all()
    table = linear.Embed(10, 16, dtype=dtype)
    rows = small["table"]["embedding"] * small["table"]["embedding_scale"][:, None]
    whole = {"params": {"embedding": jnp.asarray(rows)}}
    ids = np.asarray([[3, 9, 0]])
    close = dict(rtol=1e-5 if dtype == "float32" else 0.02, atol=1e-6)
    few = {"params": small["table"]}
    np.testing.assert_allclose(
        np.asarray(table.apply(few, ids), np.float32),
        np.asarray(table.apply(whole, ids), np.float32),
        **close,
    )
    y = jnp.asarray(RNG.normal(size=(2, 16)), dtype)
    scores = table.apply(few, y, method="attend")
    wanted = table.apply(whole, y, method="attend")
    assert scores.dtype == np.float32
    limit = 1e-5 if dtype == "float32" else 0.05
    np.testing.assert_allclose(scores, wanted, rtol=limit, atol=limit)


def test_scales_lie_beside_their_channels():
    layout = place.make({"fsdp": 2, "tensor": 4})
    dense = linear.Dense(16, axes=("embed", "mlp"))
    boxes = {"one": jax.eval_shape(dense.init, jax.random.key(0), jnp.ones((1, 24)))}
    boxes["one"] = boxes["one"]["params"]
    small = int8.quantize({"one": {"kernel": matrices()["llm"]["one"]["kernel"]}})
    put = place.put_params(layout, small, int8.boxed(boxes, small))["one"]
    assert put["kernel"].sharding.shard_shape((24, 16)) == (12, 4)
    assert put["kernel_scale"].sharding.shard_shape((16,)) == (4,)
    plain = {"one": {"kernel": np.zeros((24, 16), np.float32)}}
    assert weights.flatten(int8.boxed(boxes, plain)).keys() == {"one/kernel"}
