"""The aligner: its masks, weight names and initialisation; numbers are parity's."""

import dataclasses
import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from bridge_jax.core import weights as weights_lib
from bridge_jax.core.errors import BridgeError
from bridge_jax.models.bitransformer import config as config_lib
from bridge_jax.models.bitransformer import initialise
from bridge_jax.models.bitransformer import model as model_lib
from bridge_jax.models.bitransformer import weights as table
from bridge_jax.models.mt5 import config as mt5_config
from bridge_jax.models.mt5 import model as mt5_model
from bridge_jax.models.mt5 import weights as mt5_table
from bridge_jax.sharding import place

GOLDEN = Path(__file__).parents[1] / "golden"
CONFIG = config_lib.Config(
    layers=6, d_model=64, heads=4, d_kv=16, d_ff=128, cross_layers=(0, 2, 4), queries=16
)
SMALL = config_lib.Config(
    layers=2, d_model=16, heads=2, d_kv=4, d_ff=24, cross_layers=(0,), queries=5
)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "bilm.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def params(golden):
    tensors = {k[2:]: v for k, v in golden.items() if k.startswith("w/")}
    return weights_lib.to_flax(
        table.rules(CONFIG, prefix=""), tensors, template=shapes(CONFIG)
    )


def relative_error(got, wanted) -> float:
    largest = np.abs(wanted).max()
    return float(np.abs(np.asarray(got) - wanted).max() / (largest or 1.0))


def shapes(config):
    c = config
    variables = jax.eval_shape(
        model_lib.BiTransformer(c).init,
        jax.random.key(0),
        jnp.zeros((1, c.queries, c.d_model)),
        jnp.zeros((1, 3, c.d_model)),
    )
    return place.unbox(variables["params"])


def is_box(x) -> bool:
    return hasattr(x, "names")


@pytest.fixture(scope="module")
def small():
    """(module, params, embeddings [2, 5, 16], memory [2, 3, 16]) at random."""
    keys = jax.random.split(jax.random.key(1))
    embeddings = jax.random.normal(keys[0], (2, 5, 16))
    memory = jax.random.normal(keys[1], (2, 3, 16))
    module = model_lib.BiTransformer(SMALL)
    return module, miniature.drawn(shapes(SMALL)), embeddings, memory


def test_weights_round_trip_bit_exact(golden, params):
    back = weights_lib.to_reference(table.rules(CONFIG, prefix=""), params)
    tensors = {k[2:]: v for k, v in golden.items() if k.startswith("w/")}
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(back[name], tensor)


def test_prefix_of_released_files():
    assert all(r.reference.startswith("bilm.") for r in table.rules(CONFIG))


@pytest.mark.parametrize("size", config_lib.SIZES)
def test_sizes_trace_and_table_is_complete(size):
    config = config_lib.SIZES[size]
    made = weights_lib.flatten(shapes(config))
    assert set(made) == {rule.path for rule in table.rules(config)}
    out = jax.eval_shape(
        model_lib.BiTransformer(config).apply,
        {"params": shapes(config)},
        jnp.zeros((2, config.queries, config.d_model)),
        jnp.zeros((2, 7, config.d_model)),
    )
    assert out.shape == (2, config.queries, config.d_model)


def test_every_parameter_names_its_axes():
    module = model_lib.BiTransformer(SMALL)
    given = jnp.zeros((1, 5, 16)), jnp.zeros((1, 3, 16))
    variables = jax.eval_shape(module.init, jax.random.key(0), *given)
    boxes = jax.tree.leaves(variables["params"], is_leaf=is_box)
    assert all(is_box(box) and len(box.names) == box.value.ndim for box in boxes)


def test_masked_memory_has_no_influence(small):
    module, params, embeddings, memory = small
    memory_mask = jnp.array([[1, 1, 0], [1, 0, 0]])

    @jax.jit
    def total(memory):
        out = module.apply({"params": params}, embeddings, memory, memory_mask)
        return jnp.sum(jnp.square(out))

    influence = jnp.abs(jax.grad(total)(memory)).sum(-1) > 0
    np.testing.assert_array_equal(influence, memory_mask.astype(bool))


def test_memory_without_anything_is_averaged(small):
    module, params, embeddings, memory = small
    nothing = jnp.zeros((2, 3), bool)
    out = module.apply({"params": params}, embeddings, memory, nothing)
    mean = jnp.broadcast_to(memory.mean(1, keepdims=True), memory.shape)
    # Averaging values is averaging memory: keys and values are linear in it.
    same = module.apply({"params": params}, embeddings, mean)
    assert relative_error(out, np.asarray(same)) < 1e-5


def test_masked_positions_have_no_influence_on_others(small):
    module, params, embeddings, memory = small
    mask = jnp.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])

    @jax.jit
    def total(embeddings):
        out = module.apply({"params": params}, embeddings, memory, None, mask)
        return jnp.sum(jnp.where(mask[..., None] > 0, jnp.square(out), 0.0))

    influence = jnp.abs(jax.grad(total)(embeddings)).sum(-1) > 0
    np.testing.assert_array_equal(influence, mask.astype(bool))


def test_replaced_positions_hide_their_embedding(small):
    module, params, embeddings, memory = small
    replace = jnp.array([[True, False, True, False, False], [False] * 5])

    @jax.jit
    def total(embeddings, params):
        out = module.apply({"params": params}, embeddings, memory, replace=replace)
        return jnp.sum(jnp.square(out))

    by_input, by_params = jax.grad(total, argnums=(0, 1))(embeddings, params)
    np.testing.assert_array_equal(jnp.abs(by_input).sum(-1) > 0, ~replace)
    used = jnp.abs(by_params["query_tokens"]).sum(-1) > 0
    np.testing.assert_array_equal(used, replace[0])


def test_query_tokens_need_their_length(small):
    module, params, embeddings, memory = small
    with pytest.raises(BridgeError, match="4 positions but 5 query tokens"):
        module.apply(
            {"params": params},
            embeddings[:, :4],
            memory,
            replace=jnp.ones((2, 4), bool),
        )


def test_cross_layers_must_exist():
    with pytest.raises(BridgeError, match="cross_layers"):
        config_lib.Config(
            layers=2,
            d_model=8,
            heads=2,
            d_kv=4,
            d_ff=8,
            cross_layers=(0, 2),
            queries=4,
        )


def test_dropout_only_when_asked(small):
    module, params, embeddings, memory = small

    given = {"params": params}, embeddings, memory

    @jax.jit
    def drop(key):
        return module.apply(*given, deterministic=False, rngs={"dropout": key})

    still, dropped = module.apply(*given), drop(jax.random.key(3))
    assert relative_error(dropped, np.asarray(still)) > 0.01
    np.testing.assert_array_equal(dropped, drop(jax.random.key(3)))
    assert not np.array_equal(dropped, drop(jax.random.key(4)))


def test_remat_changes_nothing(small):
    _, params, *inputs = small

    def loss(module, params):
        return jnp.sum(jnp.square(module.apply({"params": params}, *inputs)))

    plain, again = (
        jax.jit(jax.grad(functools.partial(loss, model_lib.BiTransformer(config))))(
            params
        )
        for config in (SMALL, dataclasses.replace(SMALL, remat="full"))
    )
    errors = jax.tree.map(lambda a, b: relative_error(a, np.asarray(b)), again, plain)
    assert max(jax.tree.leaves(errors)) < 1e-5


# --- initialisation from mT5 ---------------------------------------------------

ALIGNER = config_lib.Config(
    layers=5, d_model=8, heads=2, d_kv=4, d_ff=12, cross_layers=(0, 2, 4), queries=3
)
MT5 = mt5_config.Config(
    layers=5, d_model=8, heads=2, d_kv=4, d_ff=12, vocab=11, length=3
)


@pytest.fixture(scope="module")
def pair():
    """(mT5 parameters, aligner parameters), random."""
    mt5 = jax.eval_shape(
        mt5_model.Encoder(MT5).init,
        jax.random.key(0),
        jnp.zeros((1, 3), int),
        jnp.ones((1, 3)),
    )
    drawn = miniature.drawn(place.unbox(mt5["params"]))
    return drawn, miniature.drawn(shapes(ALIGNER), seed=1)


def test_by_name_copies_what_the_reference_copies(pair):
    wanted = json.loads((GOLDEN / "bilm_t5_init_map.json").read_text())
    copies = initialise.plan(*pair, "by_name")
    theirs = {r.path: r.reference for r in mt5_table.rules(MT5)}
    theirs = {p: n.removeprefix("encoder.") for p, n in theirs.items()}
    theirs["token_embed/embedding"] = "embed_tokens.weight"  # its other name
    ours = {r.path: r.reference for r in table.rules(ALIGNER, prefix="")}
    assert all(ours[to] == theirs[at] for to, at in copies.items())
    assert {ours[to] for to in copies} == set(wanted["copied"])
    assert {ours[p] for p in ours if p not in copies} == set(wanted["bilm_random"])
    used = set(copies.values())
    assert {theirs[p] for p in theirs if p not in used} == set(wanted["t5_only"])


def test_by_role_leaves_only_cross_attention_and_queries_fresh(pair):
    mt5, aligner = pair
    copies = initialise.plan(mt5, aligner, "by_role")
    fresh = set(weights_lib.flatten(aligner)) - set(copies)
    assert all(p == "query_tokens" or "/cross_" in p for p in fresh)
    unused = set(weights_lib.flatten(mt5)) - set(copies.values())
    assert unused == {"token_embed/embedding"}


def test_by_role_without_cross_attention_is_mt5(pair):
    mt5, aligner = pair
    flat = weights_lib.flatten(initialise.from_mt5(mt5, aligner))
    muted = {k: v * 0 if "cross_attention/out" in k else v for k, v in flat.items()}
    embeddings = jax.random.normal(jax.random.key(2), (2, 3, 8))
    mask = jnp.ones((2, 3))
    states = mt5_model.Encoder(MT5).apply({"params": mt5}, embeddings, mask)
    aligned = model_lib.BiTransformer(ALIGNER).apply(
        {"params": weights_lib.unflatten(muted)}, embeddings, embeddings, mask
    )
    assert relative_error(aligned, np.asarray(states)) < 1e-6


def test_aligner_deeper_than_mt5_keeps_its_last_layers(pair):
    _, aligner = pair
    shallow = {k: v for k, v in pair[0].items() if k != "layers_4"}
    copies = initialise.plan(shallow, aligner, "by_role")
    assert not any(path.startswith("layers_4/") for path in copies)


def test_initialisation_mistakes_are_clear(pair):
    with pytest.raises(BridgeError, match="by_role"):
        initialise.plan(*pair, "by_luck")
    mt5 = {**pair[0], "relative_bias": jnp.zeros((32, 4))}
    with pytest.raises(BridgeError, match="relative_bias"):
        initialise.from_mt5(mt5, pair[1])
