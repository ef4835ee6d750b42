"""The BERT text encoder: shapes, masks and its weight table.

Its numbers are compared with transformers in tests/parity/test_text_encoders.py.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from bridge_jax.core import weights as weights_lib
from bridge_jax.core.errors import BridgeError
from bridge_jax.models.bert import config as config_lib
from bridge_jax.models.bert import model as model_lib
from bridge_jax.models.bert import weights as table

CONFIG = config_lib.Config(
    layers=2, hidden=16, heads=2, ffn=24, vocab=20, positions=8, length=6
)
TOKENS = jnp.array([[1, 5, 6, 7, 2, 0], [1, 9, 2, 0, 0, 0]])
MASK = TOKENS > 0


@pytest.fixture(scope="module")
def params():
    init = model_lib.Encoder(CONFIG).init
    shapes = jax.eval_shape(init, jax.random.key(0), TOKENS, MASK)
    return miniature.drawn(nn.unbox(shapes["params"]))


@functools.partial(jax.jit, static_argnames="deterministic")
def encode(params, tokens=TOKENS, mask=MASK, token_types=None, **options):
    encoder = model_lib.Encoder(CONFIG)
    given = {"params": params}
    return encoder.apply(given, tokens, mask, token_types=token_types, **options)


def test_padding_has_no_influence_on_text(params):
    other = jnp.where(MASK, TOKENS, 11)
    before, after = encode(params), encode(params, other)
    seen = MASK[..., None]
    np.testing.assert_array_equal(jnp.where(seen, before, 0), jnp.where(seen, after, 0))
    assert float(jnp.abs(before - after).max()) > 1e-3  # at the padding itself


def test_every_real_token_sees_both_directions(params):
    for changed in (1, 3):
        other = TOKENS.at[0, changed].set(15)
        moved = jnp.abs(encode(params) - encode(params, other)).max(-1)[0] > 1e-5
        assert bool(moved[:5].all())


def test_positions_and_token_types_matter(params):
    base = encode(params)
    swapped = encode(params, TOKENS.at[0, 1:3].set(TOKENS[0, 2:0:-1]))
    assert float(jnp.abs(base[0, 3:] - swapped[0, 3:]).max()) > 1e-5
    typed = encode(params, token_types=jnp.ones_like(TOKENS))
    assert float(jnp.abs(base - typed).max()) > 1e-3


def test_too_many_tokens_are_refused(params):
    with pytest.raises(BridgeError, match="9 tokens but only 8 positions"):
        encode(params, jnp.ones((1, 9), int), jnp.ones((1, 9)))


def test_dropout_only_when_asked(params):
    dropped = encode(params, deterministic=False, rngs={"dropout": jax.random.key(0)})
    assert float(jnp.abs(dropped - encode(params)).max()) > 0.01


def test_weights_round_trip_bit_exact(params):
    rules = table.rules(CONFIG, prefix="bert.")
    tensors = weights_lib.to_reference(rules, params)
    again = weights_lib.to_flax(rules, tensors, template=params)
    jax.tree.map(np.testing.assert_array_equal, again, params)


@pytest.mark.parametrize("size", config_lib.SIZES)
@pytest.mark.parametrize("remat", ["none", "full"])
def test_sizes_trace_and_table_is_complete(size, remat):
    config = dataclasses.replace(config_lib.SIZES[size], remat=remat)
    encoder = model_lib.Encoder(config)
    tokens = jnp.zeros((2, config.length), int)
    mask = jnp.ones_like(tokens)
    variables = jax.eval_shape(encoder.init, jax.random.key(0), tokens, mask)
    paths = weights_lib.flatten(variables["params"])
    assert set(paths) == {rule.path for rule in table.rules(config)}
    assert all(len(b.names) == b.value.ndim for b in paths.values())
    out = jax.eval_shape(encoder.apply, variables, tokens, mask)
    assert out.shape == (2, config.length, config.hidden)
