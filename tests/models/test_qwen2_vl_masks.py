"""What Qwen2-VL's masks and cache promise, on a tiny random model."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
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
    init = jax.jit(Qwen2VL(config).init)
    return nn.unbox(init(jax.random.key(0), tokens, ids, tokens)["params"])


def _error(ours, reference):
    return float(jnp.abs(ours - reference).max() / jnp.abs(reference).max())


def _plain(length):
    """Positions [3, 1, length] of text alone."""
    return jnp.broadcast_to(jnp.arange(length), (3, 1, length))


def _turns(config, positions):
    return rotary(positions, config.head_dim, config.theta, config.mrope_sections)


def _reach(pull, shape, token):
    """Which inputs of row 0 the output `token` of row 0 depends on."""
    cotangent = jnp.zeros(shape).at[0, token].set(1.0)
    return np.flatnonzero(jnp.abs(pull(cotangent)[0][0]).sum(axis=-1)).tolist()


PACKED = jnp.array([[1, 1, 1, 2, 2, 2, 2, 0]])
PACKED_IDS = jnp.broadcast_to(jnp.array([0, 1, 2, 0, 1, 2, 3, 1]), (3, 1, 8))


def test_a_token_sees_only_the_past_of_its_own_segment(config, params):
    embeddings = jax.random.normal(jax.random.key(1), (1, 8, config.hidden_size))
    llm = decoder.Decoder(config)

    @jax.jit
    def hidden(embeddings):
        turns = _turns(config, PACKED_IDS)
        return llm.apply({"params": params["llm"]}, embeddings, turns, PACKED)[0]

    _, pull = jax.vjp(hidden, embeddings)
    for token, seen in ((1, [0, 1]), (2, [0, 1, 2]), (3, [3]), (5, [3, 4, 5])):
        assert _reach(pull, embeddings.shape, token) == seen


def test_packed_sequences_equal_separate_ones(config, params):
    llm = decoder.Decoder(config)
    apply = jax.jit(lambda *arguments: llm.apply({"params": params["llm"]}, *arguments))
    embeddings = jax.random.normal(jax.random.key(1), (1, 8, config.hidden_size))
    packed, _ = apply(embeddings, _turns(config, PACKED_IDS), PACKED)
    for part in (slice(0, 3), slice(3, 7)):
        length = part.stop - part.start
        ones = jnp.ones((1, length), jnp.int32)
        turns = _turns(config, _plain(length))
        alone, _ = apply(embeddings[:, part], turns, ones)
        assert _error(packed[:, part], alone) <= TOLERANCE


def test_a_patch_sees_only_its_own_frame(config, params):
    width = config.vision.patch_dim
    pictures = [(np.zeros((16, width)), (2, 2, 4)), (np.zeros((4, width)), (1, 2, 2))]
    _, coordinates, segments = patches.pack([pictures], 24, width)
    pixels = jax.random.normal(jax.random.key(2), (1, 24, width))
    tower = vision.VisionTower(config)

    @jax.jit
    def encode(pixels):
        return tower.apply({"params": params["vision"]}, pixels, coordinates, segments)

    merged, pull = jax.vjp(encode, pixels)
    assert merged.shape == (1, 6, config.hidden_size)
    for token, seen in ((0, range(8)), (3, range(8, 16)), (4, range(16, 20))):
        assert _reach(pull, merged.shape, token) == list(seen)


@pytest.mark.parametrize("side", ["left", "right"])
def test_cache_continues_a_padded_prompt(config, params, side):
    apply = jax.jit(
        lambda *arguments, cache=None: Qwen2VL(config).apply(
            {"params": params}, *arguments, cache=cache
        )
    )
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
    pixels = jax.random.normal(jax.random.key(3), (4, width))
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

    found = grads(params)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(found))
    for part in ("vision", "llm"):
        assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(found[part]))


def test_impossible_sizes_are_all_reported():
    with pytest.raises(BridgeError, match="mrope_sections.*kv_heads.*remat"):
        Config(mrope_sections=(1, 1, 1), kv_heads=3, remat="some")
