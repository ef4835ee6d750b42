"""Scanned stacks: the same numbers from the same parameters, in a smaller program."""

import dataclasses
import functools

import equations
import flax.linen as nn
import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest
from flax.errors import FlaxError
from jax._src.cudnn import fused_attention_stablehlo as cudnn

from bridge_jax.core import hardware
from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import linear, stack
from bridge_jax.models import build
from bridge_jax.models.qwen2_vl import config as qwen2_vl
from bridge_jax.models.qwen2_vl import vision

# Each stack repeats something, and the uneven ones in more than one part.
SIZES = {
    "decoder_lm": {"layers": 3},
    "mt5": {"layers": 3, "dropout": 0.0},
    "bert": {"layers": 3, "dropout": 0.0},
    "bitransformer": {"layers": 6, "cross_layers": (0, 2), "dropout": 0.0},
    "hunyuan_dit": {"depth": 4},
}


def made(family, **changes):
    """(module, inputs) of a tiny model; float inputs are random."""
    description = {"family": family, "size": "tiny"} | SIZES[family] | changes
    part = build.build({"part": description})["part"]
    rng = np.random.default_rng(0)

    def filled(leaf):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype)
        return leaf

    return part.module, jax.tree.map(filled, part.example)


def parameters(module, inputs):
    shapes = jax.eval_shape(module.init, jax.random.key(0), **inputs)
    return miniature.drawn(nn.unbox(shapes)["params"])


def loss(module, inputs, params):
    out = module.apply({"params": params}, **inputs)
    leaves = [leaf for leaf in jax.tree.leaves(out) if leaf.ndim > 1]
    return sum(jnp.mean(jnp.square(leaf.astype(jnp.float32))) for leaf in leaves)


def products(module, inputs, params) -> int:
    """Matrix products in the program of a gradient, loop bodies counted once."""
    gradient = jax.grad(functools.partial(loss, module, inputs))
    return equations.count(jax.make_jaxpr(gradient)(params), "dot_general")


@pytest.mark.parametrize(
    ("kinds", "parts"),
    [
        ("a", [(1, 1)]),
        ("aaaa", [(1, 4)]),
        ("abababcc", [(2, 3), (1, 2)]),
        ("csdsdsds", [(2, 1), (2, 3)]),
        # The published aligner: cross-attention in layers 0, 2, 4, 8, 12, 16 and 20.
        ("cscs" + "csss" * 5, [(2, 2), (4, 5)]),
    ],
)
def test_patterns_compile_the_fewest_blocks(kinds, parts):
    assert stack.patterns(kinds) == parts


@pytest.mark.parametrize("family", SIZES)
def test_a_scan_gives_the_same_numbers_and_gradients(family):
    plain, inputs = made(family)
    params = parameters(plain, inputs)
    scanned, _ = made(family, scan=True)
    wanted, found = (
        jax.device_get(
            jax.jit(jax.value_and_grad(functools.partial(loss, module, inputs)))(params)
        )
        for module in (plain, scanned)
    )
    assert jax.tree.structure(wanted) == jax.tree.structure(found)
    for one, other in zip(jax.tree.leaves(wanted), jax.tree.leaves(found), strict=True):
        scale = np.abs(one).max()
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * scale + 1e-7)


@pytest.mark.parametrize("family", SIZES)
def test_a_scanned_program_does_not_grow_with_depth(family):
    counts = {}
    name = "depth" if family == "hunyuan_dit" else "layers"
    for scan in (False, True):
        for depth in (4, 6):
            changes = {name: depth, "scan": scan}
            if family == "bitransformer":
                changes["cross_layers"] = tuple(range(0, depth, 2))
            module, inputs = made(family, **changes)
            params = parameters(module, inputs)
            counts[scan, depth] = products(module, inputs, params)
    assert counts[True, 4] == counts[True, 6] < counts[False, 4] < counts[False, 6]


def test_the_vision_tower_scans():
    rng = np.random.default_rng(0)
    config = dataclasses.replace(qwen2_vl.SIZES["tiny"])
    patches = jnp.asarray(rng.normal(size=(2, 16, config.vision.patch_dim)), "float32")
    coordinates = jnp.asarray(rng.integers(0, 4, (2, 16, 2)))
    segments = jnp.repeat(jnp.asarray([[1, 1, 2, 0]]), 4, 1).repeat(2, 0)
    inputs = {"patches": patches, "coordinates": coordinates, "segments": segments}
    plain = vision.VisionTower(config)
    scanned = vision.VisionTower(dataclasses.replace(config, scan=True))
    params = parameters(plain, inputs)
    out, again = (
        jax.jit(m.apply)({"params": params}, **inputs) for m in (plain, scanned)
    )
    np.testing.assert_allclose(out, again, rtol=1e-5, atol=1e-5)
    assert products(scanned, inputs, params) < products(plain, inputs, params)


def test_scanned_kernels_are_cast_as_they_would_be():
    plain, inputs = made("decoder_lm", dtype="bfloat16")
    params = parameters(plain, inputs)
    scanned, _ = made("decoder_lm", dtype="bfloat16", scan=True)
    exact = {"xla_allow_excess_precision": False}
    first, second = (
        jax.jit(
            lambda p, m=module: m.apply({"params": p}, **inputs)[0],
            compiler_options=exact,
        )(params)
        for module in (plain, scanned)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("scan", [False, True])
def test_policies_keep_what_they_say(scan):
    plain, inputs = made("decoder_lm", scan=scan)
    params = parameters(plain, inputs)
    wanted = jax.jit(jax.grad(functools.partial(loss, plain, inputs)))(params)
    counts = {"none": products(plain, inputs, params)}
    for policy in ("dots", "full"):
        module, _ = made("decoder_lm", remat=policy, scan=scan)
        found = jax.jit(jax.grad(functools.partial(loss, module, inputs)))(params)
        for one, other in zip(*map(jax.tree.leaves, (wanted, found)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
        counts[policy] = products(module, inputs, params)
    # "dots" makes only attention's products again, "full" all of them.
    assert counts["none"] < counts["dots"] < counts["full"]


def test_offloaded_products_go_to_the_host():
    module, inputs = made("decoder_lm", remat="offload", scan=True)
    params = parameters(module, inputs)
    gradient = jax.grad(functools.partial(loss, module, inputs))
    assert "host" in str(jax.make_jaxpr(gradient)(params))


def test_scanned_layers_drop_differently_and_by_their_key():
    module, inputs = made("mt5", dropout=0.5, scan=True)
    params = parameters(module, inputs)

    def run(seed):
        rngs = {"dropout": jax.random.key(seed)}
        return module.apply(
            {"params": params}, **inputs, deterministic=False, rngs=rngs
        )

    np.testing.assert_array_equal(run(0), run(0))
    assert np.abs(run(0) - run(1)).max() > 1e-3


class Add(nn.Module):
    """One parameter, added where a coin of its own allows."""

    wide: bool = False

    @nn.compact
    def __call__(self, x):
        own = linear.param(self, "own", nn.initializers.ones, (1,), (None,))
        if self.has_rng("dropout"):
            x = x * (1 + jax.random.uniform(self.make_rng("dropout")))
        return x + own


class Adds(nn.Module):
    kinds: tuple[bool, ...]
    given: bool = False
    scan: bool = True

    def setup(self):
        self.layers = [Add(kind) for kind in self.kinds]

    def __call__(self, x):
        def step(layer, x, _):
            x = layer(x)
            return x, x

        inputs = jnp.ones(len(self.kinds)) if self.given else None
        rngs = {"dropout": self.make_rng("dropout")} if self.has_rng("dropout") else {}
        return stack.fold(step, self.layers, x, inputs, scan=self.scan, rngs=rngs)


def test_each_layer_draws_its_own_whichever_way_they_run():
    params = parameters(Adds((False,) * 3), {"x": jnp.ones(1)})
    zero = {"params": jax.tree.map(jnp.zeros_like, params)}
    rngs = {"dropout": jax.random.key(0)}
    drawn = []
    for scan in (True, False):
        apply = functools.partial(Adds((False,) * 3, scan=scan).apply, rngs=rngs)
        for run in (apply, jax.jit(apply)):
            _, outputs = run(zero, jnp.ones(1))
            drawn.append(np.ravel(jax.device_get(outputs)))
    factors = drawn[0] / np.append(1, drawn[0][:-1])
    assert len(set(factors.tolist())) == 3
    for other in drawn[1:]:
        np.testing.assert_allclose(drawn[0], other, rtol=1e-6)


def test_a_layer_of_each_kind_is_traced_and_written_out_for_all():
    module = Adds((False, True, False, False, True), scan=False)
    params = {"params": parameters(module, {"x": jnp.ones(1)})}
    wanted, outputs = module.apply(params, jnp.ones(1))
    called = []

    def count(call, arguments, keywords, context):
        called.append(type(context.module))
        return call(*arguments, **keywords)

    with nn.intercept_methods(count):
        traced = jax.jit(module.apply).trace(params, jnp.ones(1))
        assert called.count(Add) == 2
        module.apply(params, jnp.ones(1))
        assert called.count(Add) == 2 + 5  # eagerly, each runs
    assert [str(one.primitive) for one in traced.jaxpr.eqns] == ["add"] * 5
    lowered = traced.lower()
    named = lowered.as_text(debug_info=True)
    assert all(f"layers_{i}/" in named for i in range(5))
    found, again = lowered.compile()(params, jnp.ones(1))
    np.testing.assert_array_equal(wanted, found)
    np.testing.assert_array_equal(outputs, again)


@pytest.mark.parametrize("scan", [False, True])
def test_what_happens_in_every_layer_can_be_captured(scan):
    module = Adds((False,) * 3, scan=scan)
    params = {"params": parameters(module, {"x": jnp.ones(1)})}
    capture = functools.partial(module.apply, capture_intermediates=True)
    (_, outputs), kept = jax.jit(capture)(params, jnp.ones(1))
    for i, output in enumerate(outputs):
        (one,) = kept["intermediates"][f"layers_{i}"]["__call__"]
        np.testing.assert_array_equal(one, output)


@pytest.mark.parametrize("wrong", [{}, {"own": np.ones(2, np.float32)}])
def test_a_layer_with_wrong_parameters_is_named(wrong):
    module = Adds((False,) * 3, scan=False)
    params = dict(parameters(module, {"x": jnp.ones(1)}), layers_1=wrong)
    for run in (module.apply, jax.jit(module.apply)):
        with pytest.raises(FlaxError, match="own") as caught:
            run({"params": params}, jnp.ones(1))
        named = [note for note in caught.value.__notes__ if note.startswith("in ")]
        assert named == ["in /layers_1"]


@pytest.mark.parametrize("given", [False, True])
def test_unlike_layers_have_no_inputs_or_outputs(given):
    module = Adds((False, True), given)
    params = parameters(module, {"x": jnp.ones(1)})
    with pytest.raises(ValueError, match="all alike"):
        module.apply({"params": params}, jnp.ones(1))


def test_an_unknown_policy_is_named_with_those_there_are():
    for family in SIZES:
        with pytest.raises(BridgeError, match="'some' must be one of none, dots"):
            module, inputs = made(family, remat="some")
            parameters(module, inputs)


def test_dots_keep_what_attention_of_a_gpu_gives(monkeypatch):
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91900)
    monkeypatch.setattr(cudnn, "check_compute_capability", lambda capability: True)
    monkeypatch.setattr(hardware, "has_cudnn", lambda: True)
    calls = {}
    for policy in ("dots", "full"):
        module, inputs = made(
            "decoder_lm", attention="auto", remat=policy, dtype="bfloat16"
        )
        params = parameters(module, inputs)
        gradient = jax.grad(functools.partial(loss, module, inputs))
        program = jax.make_jaxpr(gradient)(params)
        name = "dot_product_attention_fwd_wrapper"
        calls[policy] = equations.count(program, name)
    assert calls["full"] == 2 * calls["dots"] > 0
