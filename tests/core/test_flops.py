"""Counts of arithmetic: by hand, and against XLA's own where nothing is a loop."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax._src.cudnn import fused_attention_stablehlo as cudnn

from bridge_jax.core import flops
from bridge_jax.layers import convolution, packed, winograd
from bridge_jax.models import build
from bridge_jax.sharding import place

# Sizes at which products dwarf the rest, and nothing is a loop.
MODELS = {
    "decoder_lm": {"hidden_size": 256, "ffn_size": 1024, "head_dim": 64},
    "qwen2_vl": {"hidden_size": 256, "ffn_size": 1024},
    "mt5": {"d_model": 256, "d_ff": 1024, "d_kv": 64, "dropout": 0.0},
    "bert": {"hidden": 256, "ffn": 1024, "dropout": 0.0},
    "bitransformer": {"d_model": 256, "d_ff": 1024, "d_kv": 64, "dropout": 0.0},
    "hunyuan_dit": {"hidden": 384, "input_size": 16, "depth": 2},
    "clip_vit": {"hidden": 256, "ffn": 1024},
    # What is doubled takes a CPU fewer products in float32 than the mathematics says.
    "autoencoder_kl": {"dtype": "bfloat16"},
}


def counted(function, *arguments, **options):
    return flops.count(jax.jit(function).trace(*arguments).jaxpr, (), **options)


def gradient(family, **changes):
    """(function, parameters): the gradient of a model's squared output."""
    description = {"family": family, "size": "tiny"} | MODELS[family] | changes
    part = build.build({"part": description})["part"]
    module, inputs = part.module, dict(part.example)
    for name, leaf in inputs.items():  # more than one row and a few positions
        if name in ("tokens", "inputs", "positions", "segments", "mask"):
            rows = jnp.repeat(leaf, 8, leaf.ndim - 2)
            inputs[name] = jnp.repeat(rows, 16 if family != "bert" else 8, -1)
        if name == "images":
            inputs[name] = jnp.ones((2, 64, 64, 3), leaf.dtype)
    params = jax.eval_shape(
        lambda: nn.unbox(module.init(jax.random.key(0), **inputs))["params"]
    )

    def loss(params):
        out = jax.tree.leaves(module.apply({"params": params}, **inputs))
        return sum(jnp.sum(jnp.square(leaf)) for leaf in out if leaf.ndim > 2)

    return jax.grad(loss), params


@pytest.mark.parametrize("family", MODELS)
def test_models_agree_with_unrolled_cost_analysis(family, monkeypatch):
    # So do other convolutions on a CPU, and it is the mathematics that counts.
    monkeypatch.setattr(winograd, "suits", lambda x, kernel: False)
    function, params = gradient(family)
    cost = jax.jit(function).lower(params).compile().cost_analysis()
    assert counted(function, params).model == pytest.approx(cost["flops"], rel=0.05)


def test_products_and_convolutions_by_hand():
    def run(x, kernel, image, filters):
        x = jnp.einsum("btd,df->btf", x, kernel)
        return x, jax.lax.conv_general_dilated(
            image, filters, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    arguments = (
        jnp.zeros((2, 3, 5)),
        jnp.zeros((5, 7)),
        jnp.zeros((1, 8, 8, 3)),
        jnp.zeros((3, 3, 3, 4)),
    )
    wanted = 2 * (2 * 3 * 5 * 7) + 2 * (4 * 4 * 4) * (3 * 3 * 3)
    assert counted(run, *arguments).model == wanted


@pytest.mark.parametrize("convolve", [convolution.same, convolution.doubled])
def test_ways_with_fewer_products_count_as_the_plain_one(convolve):
    x, kernel = jnp.zeros((1, 4, 4, 128)), jnp.zeros((3, 3, 128, 128))
    pixels = convolve(x, kernel)[..., 0].size
    assert counted(convolve, x, kernel).model == 2 * pixels * kernel.size


def test_loops_count_as_often_as_they_run_and_branches_once():
    def run(x):
        def body(x, _):
            return jax.lax.cond(x.sum() > 0, lambda x: x @ x @ x, lambda x: x @ x, x), 0

        return jax.lax.scan(body, x, length=5)[0]

    assert counted(run, jnp.zeros((4, 4))).model == 5 * 2 * (2 * 4**3)


def test_parts_are_told_apart_and_the_first_name_wins():
    def run(x):
        with jax.named_scope("vlm"):
            with jax.named_scope("vision"):
                x = x @ x
            x = x @ x @ x
        with jax.named_scope("optimizer"):
            x = x @ x
        return x @ x

    program = jax.jit(run).trace(jnp.zeros((4, 4))).jaxpr
    found = flops.count(program, ("vision", "vlm"), without=("optimizer",))
    assert found.parts == {"vision": 128.0, "vlm": 256.0, "rest": 128.0}
    assert found.model == 512.0


@pytest.mark.parametrize("scan", [False, True])
def test_rematerialisation_is_counted_apart(scan):
    plain = counted(*gradient("decoder_lm"))
    again = counted(*gradient("decoder_lm", remat="full", scan=scan))
    assert plain.again == 0.0
    assert again.model == plain.model
    # The forward pass but for the last product of each of three blocks, which nothing
    # in the backward pass reads.
    rows, last = 8 * 64, 3 * 2 * 1024 * 256
    assert again.again == plain.model / 3 - rows * last
    assert again.hardware == again.model + again.again


def test_what_nothing_reads_is_not_counted():
    def run(x):
        def body(x, _):
            return x @ x, x.T @ x

        x, _ = jax.lax.scan(body, x, length=5)
        return x

    assert counted(run, jnp.zeros((4, 4))).model == 5 * 2 * 4**3


def test_kernels_count_as_xla_does_over_all_devices():
    """Splash of whole blocks: every device its share, every block once."""

    def run(kernel, q, k, v):
        return packed.attend(q, k, v, kernel=kernel)

    layout = place.make({"data": 2, "fsdp": 2, "tensor": 2}, "fsdp_tp")
    shapes = [jax.ShapeDtypeStruct((8, 4, 1024, 128), "float32")] * 3
    found = []
    with layout.scope():
        for kernel in ("xla", "splash"):
            traced = jax.jit(functools.partial(run, kernel)).trace(*shapes)
            found.append(flops.count(traced.jaxpr, ()).model)
    assert found[0] == found[1] == 2 * 2 * 8 * 4 * 1024 * 1024 * 128


@pytest.mark.parametrize("segments", [True, False])
def test_attention_of_cudnn_counts_as_its_products(monkeypatch, segments):
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91900)
    monkeypatch.setattr(cudnn, "check_compute_capability", lambda capability: True)
    q = jnp.ones((2, 4, 64, 16), jnp.bfloat16)
    k = jnp.ones((2, 2, 64, 16), jnp.bfloat16)
    rows = jnp.ones((2, 64), jnp.int32)

    def gradient(kernel):
        seen = packed.sight(rows, True, kernel) if segments else None

        def loss(q, k, v):
            out = packed.attend(q, k, v, seen, causal=segments, kernel=kernel)
            return jnp.sum(jnp.square(out.astype(jnp.float32)))

        return counted(jax.grad(loss, (0, 1, 2)), q, k, k).model

    assert gradient("cudnn") == gradient("xla") == 6 * 2 * 2 * 4 * 64 * 64 * 16
