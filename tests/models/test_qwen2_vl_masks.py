"""What Qwen2-VL's masks and cache promise, on a tiny random model."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import mrope, patches
from bridge_jax.layers import decoder
from bridge_jax.layers import kv_cache as kv
from bridge_jax.models.qwen2_vl import vision
from bridge_jax.models.qwen2_vl.config import SIZES, Config, VisionConfig
from bridge_jax.models.qwen2_vl.model import Qwen2VL
from bridge_jax.models.qwen2_vl.rotary import mrope as rotary

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def config():
    tower = VisionConfig(depth=2, dim=32, heads=2, patch=4, mlp_ratio=2)
    return dataclasses.replace(SIZES["tiny"], layers=2, ffn_size=64, vision=tower)


@pytest.fixture(scope="module")
def params(config):
    tokens = jnp.ones((1, 4), jnp.int32)
    ids = jnp.zeros((3, 1, 4), jnp.int32)
    init = Qwen2VL(config).init
    shapes = jax.eval_shape(init, jax.random.key(0), tokens, ids, tokens)
    return miniature.drawn(nn.unbox(shapes["params"]))


def _random(seed, shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _error(ours, reference):
    ours, reference = np.asarray(ours), np.asarray(reference)
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


def _plain(length):
    """Positions [3, 1, length] of text alone."""
    return np.broadcast_to(np.arange(length), (3, 1, length))


def _reach(function, x, tokens):
    """For each of `tokens`, which inputs of row 0 its output in row 0 depends on."""

    @jax.jit
    def gradients(x):
        out, pull = jax.vjp(function, x)
        ones = jnp.eye(out.shape[1])[jnp.asarray(tokens), None, :, None]
        return jax.vmap(pull)(jnp.broadcast_to(ones, (len(tokens), *out.shape)))[0]

    found = np.abs(gradients(x)[:, 0]).sum(axis=-1)
    return [np.flatnonzero(row).tolist() for row in found]


PACKED = np.array([[1, 1, 1, 2, 2, 2, 2, 0]])
PACKED_IDS = np.broadcast_to(np.array([0, 1, 2, 0, 1, 2, 3, 1]), (3, 1, 8))


def _decode(config, params):
    """The language model alone: (embeddings, positions, segments) to its states."""

    @jax.jit
    def apply(embeddings, ids, segments):
        turns = rotary(ids, config.head_dim, config.theta, config.mrope_sections)
        given = {"params": params["llm"]}
        return decoder.Decoder(config).apply(given, embeddings, turns, segments)[0]

    return apply


def test_a_token_sees_only_the_past_of_its_own_segment(config, params):
    embeddings = _random(1, (1, 8, config.hidden_size))
    apply = _decode(config, params)
    seen = {1: [0, 1], 2: [0, 1, 2], 3: [3], 5: [3, 4, 5]}
    found = _reach(lambda x: apply(x, PACKED_IDS, PACKED), embeddings, [*seen])
    assert found == [*seen.values()]


def test_packed_sequences_equal_separate_ones(config, params):
    apply = _decode(config, params)
    embeddings = _random(1, (1, 8, config.hidden_size))
    packed = apply(embeddings, PACKED_IDS, PACKED)
    for part in (slice(0, 3), slice(3, 7)):
        length = part.stop - part.start
        ones = np.ones((1, length), np.int32)
        alone = apply(embeddings[:, part], _plain(length), ones)
        assert _error(packed[:, part], alone) <= TOLERANCE


def test_a_patch_sees_only_its_own_frame(config, params):
    width = config.vision.patch_dim
    pictures = [(np.zeros((16, width)), (2, 2, 4)), (np.zeros((4, width)), (1, 2, 2))]
    _, coordinates, segments = patches.pack([pictures], 24, width)
    pixels = _random(2, (1, 24, width))
    tower = vision.VisionTower(config)

    def encode(pixels):
        given = {"params": params["vision"]}
        merged = tower.apply(given, pixels, coordinates, segments)
        assert merged.shape == (1, 6, config.hidden_size)
        return merged

    seen = {0: range(8), 3: range(8, 16), 4: range(16, 20)}
    assert _reach(encode, pixels, [*seen]) == [[*one] for one in seen.values()]


@pytest.fixture(scope="module")
def apply(config, params):
    @jax.jit
    def apply(*arguments, cache=None):
        return Qwen2VL(config).apply({"params": params}, *arguments, cache=cache)

    return apply


@pytest.mark.parametrize("side", ["left", "right"])
def test_cache_continues_a_padded_prompt(config, apply, side):
    real = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    real = real[:, ::-1] if side == "left" else real
    prompt = np.arange(10, 20).reshape(2, 5) * real
    text = np.zeros(real.shape, bool)
    ids, deltas = mrope.batch_positions(text, real, [[], []])
    _, out = apply(prompt, ids, real, cache=kv.empty(config, 2, 9))
    new = np.array([[7, 8, 9], [10, 11, 12]])
    ids = kv.next_positions(out["cache"], jnp.asarray(deltas), steps=3)
    hidden, out = apply(new, ids, np.ones_like(new), cache=out["cache"])
    assert int(out["cache"].length) == 8
    for row in range(2):
        whole = np.concatenate([prompt[row][real[row] != 0], new[row]])[None]
        expected, _ = apply(whole, _plain(whole.shape[1]), np.ones_like(whole))
        assert _error(hidden[row], expected[0, -3:]) <= TOLERANCE


def test_cache_refuses_more_tokens_than_it_holds(config):
    with pytest.raises(BridgeError, match="do not fit"):
        kv.reserve(kv.empty(config, 1, 3), jnp.ones((1, 4), jnp.int32))


def test_bfloat16_gradients_are_finite_and_reach_both_parts(config, params):
    half = dataclasses.replace(config, dtype="bfloat16")
    grid = (1, 2, 2)
    tokens = np.array([[7, half.vision_start, half.image_pad, 8, 9, 0]])
    mask = (tokens != 0).astype(np.int32)
    visual = tokens == half.image_pad
    ids, _ = mrope.batch_positions(visual, mask, [[grid]])
    width = half.vision.patch_dim
    pixels = _random(3, (4, width))
    shown = patches.pack([[(pixels, grid)]], 8, width)

    @jax.jit
    @jax.grad
    def grads(params):
        hidden, _ = Qwen2VL(half).apply(
            {"params": params}, tokens, ids, mask, *shown, mrope.image_index(visual)
        )
        assert hidden.dtype == jnp.bfloat16
        logits = Qwen2VL(half).apply({"params": params}, hidden, method="logits")
        return jnp.mean(jnp.square(logits[:, 3:5]))

    found = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), grads(params))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    for part in ("vision", "llm"):
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(found[part])) > 0


def test_impossible_sizes_are_all_reported():
    with pytest.raises(BridgeError, match="mrope_sections.*kv_heads.*remat"):
        Config(mrope_sections=(1, 1, 1), kv_heads=3, remat="some")
