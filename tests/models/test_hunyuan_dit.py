"""What HunyuanDiT's wiring promises; its numbers are parity's."""

import dataclasses
import functools
import json
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import weights as tables
from bridge_jax.core.errors import BridgeError
from bridge_jax.models.hunyuan_dit import weights
from bridge_jax.models.hunyuan_dit.block import Block
from bridge_jax.models.hunyuan_dit.config import SIZES, Config
from bridge_jax.models.hunyuan_dit.model import HunyuanDiT

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
SIMPLE, COMPOSED = 1e-5, 1e-4


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "hunyuan_dit.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def config():
    sizes = json.loads((GOLDEN / "hunyuan_dit.json").read_text())["config"]
    return Config(
        hidden=sizes["hidden"],
        heads=sizes["heads"],
        depth=sizes["depth"],
        mlp_ratio=sizes["mlp_ratio"],
        patch=sizes["patch"],
        in_channels=sizes["in_channels"],
        input_size=sizes["base"] * sizes["patch"],
        clip_dim=sizes["dim_clip"],
        clip_length=sizes["len_clip"],
        t5_dim=sizes["dim_t5"],
        t5_length=sizes["len_t5"],
        t5_mlp_hidden=4 * sizes["dim_t5"],
        pooler_heads=sizes["pooler_heads"],
        pooler_out=sizes["pooler_out"],
        time_frequencies=sizes["freq_dim"],
        learn_sigma=sizes["learn_sigma"],
        qk_norm=sizes["qk_norm"],
        norm_eps=sizes["ln_eps"],
    )


@pytest.fixture(scope="module")
def shallow(config):
    """Its first two blocks alone, which compile sooner."""
    return dataclasses.replace(config, depth=2)


@pytest.fixture(scope="module")
def text(golden):
    return (
        jnp.asarray(golden["in/encoder_hidden_states"]),
        jnp.asarray(golden["in/text_embedding_mask"]),
        jnp.asarray(golden["in/encoder_hidden_states_t5"]),
        jnp.asarray(golden["in/text_embedding_mask_t5"]),
    )


@pytest.fixture(scope="module")
def reference(golden):
    return {name[2:]: value for name, value in golden.items() if name[:2] == "w/"}


@pytest.fixture(scope="module")
def params(config, reference):
    loaded = tables.to_flax(
        weights.rules(config), reference, template=abstract(config)[1]
    )
    return jax.tree.map(jnp.asarray, loaded)


@functools.partial(jax.jit, static_argnames=("config", "method"))
def run(config, params, *inputs, method="__call__"):
    """One program, which compiles sooner than each operation for itself."""
    return HunyuanDiT(config).apply({"params": params}, *inputs, method=method)


def abstract(config, aspect=1):
    """Shapes of the output and of all parameters, without making any."""
    batch, side = 2, config.input_size
    shapes = {
        "latents": (batch, side, aspect * side, config.in_channels),
        "timesteps": (batch,),
        "clip_states": (batch, config.clip_length, config.clip_dim),
        "clip_mask": (batch, config.clip_length),
        "t5_states": (batch, config.t5_length, config.t5_dim),
        "t5_mask": (batch, config.t5_length),
    }

    def init():
        inputs = {name: jnp.zeros(shape) for name, shape in shapes.items()}
        return HunyuanDiT(config).init_with_output(jax.random.key(0), **inputs)

    out, variables = jax.eval_shape(init)
    return out, nn.unbox(variables["params"])


def error(value, expected):
    value, expected = np.asarray(value), np.asarray(expected)
    assert value.shape == expected.shape
    return np.max(np.abs(value - expected)) / np.max(np.abs(expected))


def nhwc(array):
    return jnp.asarray(array.transpose(0, 2, 3, 1))


def inputs(golden, size, t):
    case = f"in/{size}/t{t}"
    return nhwc(golden[f"{case}/x"]), jnp.asarray(golden[f"{case}/t"], jnp.float32)


def test_weight_table_round_trip(config, params, reference):
    back = tables.to_reference(weights.rules(config), params)
    assert back.keys() == reference.keys()
    assert all(np.array_equal(back[name], reference[name]) for name in reference)


def test_wrong_weights_are_refused(config, reference):
    broken = dict(reference)
    broken["blocks.6.norm1.weight"] = broken.pop("blocks.0.norm1.weight")
    with pytest.raises(BridgeError, match="2 weight problem"):
        tables.to_flax(weights.rules(config), broken)


def test_text_is_encoded_once(golden, shallow, params, text):
    latents, t = inputs(golden, "8x8", 500)
    condition = run(shallow, params, *text, method="encode_text")
    split = run(shallow, params, latents, t, condition, method="denoise")
    assert np.array_equal(split, run(shallow, params, latents, t, *text))


def test_one_text_serves_several_latents(golden, shallow, params, text):
    latents = np.asarray(inputs(golden, "8x8", 500)[0])
    latents = np.concatenate([latents, latents[::-1] * 0.5])
    t = jnp.asarray([3.0, 500.0, 700.0, 999.0])
    condition = run(shallow, params, *text, method="encode_text")
    shared = run(shallow, params, latents, t, condition, method="denoise")
    copied = jax.tree.map(lambda leaf: np.repeat(leaf, 2, axis=0), condition)
    apart = run(shallow, params, latents, t, copied, method="denoise")
    assert error(shared, apart) < SIMPLE  # sums in another order
    crossed = jax.tree.map(lambda leaf: np.tile(leaf, (2, 1, 1)[: leaf.ndim]), copied)
    with pytest.raises(BridgeError, match="4 latents cannot be shared out .* 8 texts"):
        run(shallow, params, latents, t, crossed, method="denoise")


def test_masked_text_reaches_only_the_pooler(config, params, text):
    def totals(clip_states, t5_states):
        given = clip_states, text[1], t5_states, text[3]
        condition = run(config, params, *given, method="encode_text")
        return jnp.sum(jnp.square(condition.states)), jnp.sum(condition.vector)

    gradients = jax.jit(jax.jacrev(totals, argnums=(0, 1)))(text[0], text[2])
    states, vector = jax.tree.map(lambda g: np.any(np.asarray(g), -1), gradients)
    clip_seen, t5_seen = states
    assert np.array_equal(clip_seen, text[1] == 1)
    assert np.array_equal(t5_seen, text[3] == 1)
    clip_pooled, t5_pooled = vector
    assert not clip_pooled.any()
    assert t5_pooled.all()


@pytest.fixture(scope="module")
def gradient(golden, params, text):
    """A config's gradient, by every parameter."""

    @functools.partial(jax.jit, static_argnums=1)
    @jax.grad
    def of(params, config):
        out = run(config, params, *inputs(golden, "8x8", 500), *text)
        return jnp.sum(jnp.square(out))

    return lambda config: of(params, config)


@pytest.fixture(scope="module")
def plain_gradient(gradient, shallow):
    return gradient(shallow)


def test_padding_embedding_learns_where_masked(plain_gradient, text):
    learns = np.any(np.asarray(plain_gradient["text_padding"]) != 0, axis=-1)
    masked_somewhere = np.concatenate([text[1], text[3]], axis=1).min(axis=0) == 0
    assert np.array_equal(learns, masked_somewhere)


def test_skips_are_last_in_first_out(golden, config, params, text):
    outputs, skips = {}, {}

    def record(call, arguments, keywords, context):
        out = call(*arguments, **keywords)
        if isinstance(context.module, Block):
            outputs[context.module.name], skips[context.module.name] = (
                out,
                arguments[-1],
            )
        return out

    def traced():
        with nn.intercept_methods(record):
            given = *inputs(golden, "8x8", 500), *text
            # Where something may be kept of them, blocks run one by one as they are.
            kept = {"mutable": ["intermediates"]}
            return HunyuanDiT(config).apply({"params": params}, *given, **kept)[0]

    jax.eval_shape(traced)  # what is whose input is known without any number
    assert skips["blocks_4"] is outputs["blocks_1"]
    assert skips["blocks_5"] is outputs["blocks_0"]
    assert all(skips[f"blocks_{i}"] is None for i in range(4))


def test_remat_changes_nothing(gradient, plain_gradient, shallow):
    again = gradient(dataclasses.replace(shallow, remat="full"))
    leaves = map(jax.tree.leaves, (plain_gradient, again))
    for first, second in zip(*leaves, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-4)


def test_without_learned_sigma_and_qk_norm(config):
    plain = dataclasses.replace(config, learn_sigma=False, qk_norm=False)
    out, shapes = abstract(plain)
    assert {r.path for r in weights.rules(plain)} == set(tables.flatten(shapes))
    assert out.shape == (2, 16, 16, 4)


@pytest.mark.parametrize("size", list(SIZES))
def test_sizes_trace(size):
    config = dataclasses.replace(SIZES[size], dtype="bfloat16", remat="full")
    out, shapes = abstract(config, aspect=2)
    assert {r.path for r in weights.rules(config)} == set(tables.flatten(shapes))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    millions = {"tiny": 10, "g2": 1500}[size]
    assert 0.9 * millions < count / 1e6 < 1.1 * millions
    side = config.input_size
    assert out.shape == (2, side, 2 * side, config.out_channels)
    assert out.dtype == jnp.bfloat16


def test_mistakes_are_named(config, params, text):
    with pytest.raises(BridgeError, match=r"hidden 66 .*; depth 5 .*; remat 'some'"):
        Config(hidden=66, depth=5, remat="some")
    with pytest.raises(BridgeError, match="7 x 8 cannot be cut"):
        run(config, params, np.zeros((2, 7, 8, 4)), np.zeros((2,)), *text)
    short = (text[0][:, :5], text[1][:, :5], *text[2:])
    with pytest.raises(BridgeError, match=r"text lengths are \(5, 9\)"):
        run(config, params, *short, method="encode_text")
