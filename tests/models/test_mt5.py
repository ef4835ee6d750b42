"""The mT5 encoder against the reference's numbers, and its padding mask."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import weights as weights_lib
from bridge_jax.models.mt5 import config as config_lib
from bridge_jax.models.mt5 import model as model_lib
from bridge_jax.models.mt5 import weights as table

GOLDEN = Path(__file__).parents[1] / "golden"
TOLERANCE = 1e-4  # a composed module
PREFIX = "t5."


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "alignment_mse.npz") as file:
        return {k: jnp.asarray(v) if k[:3] == "in/" else v for k, v in file.items()}


@pytest.fixture(scope="module")
def config():
    c = json.loads((GOLDEN / "alignment_mse.json").read_text())["config"]
    return config_lib.Config(
        layers=c["t5_layers"],
        d_model=c["d_model"],
        heads=c["heads"],
        d_kv=c["d_kv"],
        d_ff=c["t5_d_ff"],
        vocab=c["V"],
        length=c["nq"],
    )


@pytest.fixture(scope="module")
def tensors(golden):
    found = {k[2:]: v for k, v in golden.items() if k.startswith("w/")}
    return {k: v for k, v in found.items() if k.startswith(PREFIX)}


@pytest.fixture(scope="module")
def params(config, tensors):
    rules = table.rules(config, PREFIX)
    return weights_lib.to_flax(rules, tensors, template=shapes(config))


def shapes(config):
    variables = jax.eval_shape(
        model_lib.Encoder(config).init,
        jax.random.key(0),
        jnp.zeros((1, config.length), int),
        jnp.ones((1, config.length)),
    )
    return jax.tree.map(
        lambda box: box.value,
        variables["params"],
        is_leaf=lambda x: hasattr(x, "names"),
    )


def relative_error(got, wanted) -> float:
    return float(np.abs(np.asarray(got) - wanted).max() / np.abs(wanted).max())


def test_tokens_match_reference(golden, config, params):
    encoder, wanted = model_lib.Encoder(config), golden["out/direct/target"]
    tokens, mask = golden["in/direct/t5_ids"], golden["in/direct/t5_mask"]
    states = encoder.apply({"params": params}, tokens, mask)
    assert relative_error(states, wanted) < TOLERANCE
    assert relative_error(states * 1.01, wanted) > TOLERANCE
    embeddings = encoder.apply({"params": params}, tokens, method="embed")
    np.testing.assert_array_equal(embeddings, golden["out/direct/embeds"])


def test_embeddings_match_reference(golden, config, params):
    states = model_lib.Encoder(config).apply(
        {"params": params},
        golden["in/orig/t5_embeddings"],
        golden["in/orig/t5_attention_masks"],
    )
    assert relative_error(states, golden["out/orig/t5_ar_labels"]) < TOLERANCE


def test_weights_round_trip_bit_exact(config, tensors, params):
    back = weights_lib.to_reference(table.rules(config, PREFIX), params)
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(back[name], tensor)


def test_padding_has_no_influence_on_text(golden, config, params):
    mask = golden["in/direct/t5_mask"]

    @jax.jit
    def total(embeddings):
        states = model_lib.Encoder(config).apply({"params": params}, embeddings, mask)
        return jnp.sum(jnp.where(mask[..., None] > 0, jnp.square(states), 0.0))

    gradient = jax.grad(total)(jnp.asarray(golden["out/direct/embeds"]))
    np.testing.assert_array_equal(jnp.abs(gradient).sum(-1) > 0, mask > 0)


def test_dropout_only_when_asked(golden, config, params):
    def run(**kwargs):
        tokens, mask = golden["in/direct/t5_ids"], golden["in/direct/t5_mask"]
        encoder = model_lib.Encoder(config)
        return np.asarray(encoder.apply({"params": params}, tokens, mask, **kwargs))

    dropped = run(deterministic=False, rngs={"dropout": jax.random.key(0)})
    assert relative_error(dropped, run()) > 0.01


@pytest.mark.parametrize("size", config_lib.SIZES)
@pytest.mark.parametrize("remat", ["none", "full"])
def test_sizes_trace_and_table_is_complete(size, remat):
    config = dataclasses.replace(config_lib.SIZES[size], remat=remat)
    made = shapes(config)
    paths = {rule.path for rule in table.rules(config)}
    assert set(weights_lib.flatten(made)) == paths
    tokens = jnp.zeros((2, config.length), int)
    run = model_lib.Encoder(config).apply
    out = jax.eval_shape(run, {"params": made}, tokens, jnp.ones_like(tokens))
    assert out.shape == (2, config.length, config.d_model)
