"""Retrieval heads and contrastive losses: masks, sizes, edges; numbers are parity's."""

import dataclasses
import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import weights as weights_lib
from bridge_jax.core.errors import BridgeError
from bridge_jax.models.bitransformer import config as aligner_config
from bridge_jax.models.bitransformer import model as aligner_model
from bridge_jax.models.bitransformer import weights as aligner_table
from bridge_jax.models.projector import config as projector_config
from bridge_jax.models.projector import model as projector_model
from bridge_jax.models.projector import weights as projector_table
from bridge_jax.models.retrieval import config as config_lib
from bridge_jax.models.retrieval import model as model_lib
from bridge_jax.models.retrieval import weights as table
from bridge_jax.objectives import contrastive

GOLDEN = Path(__file__).parents[1] / "golden"
SETTINGS = json.loads((GOLDEN / "retrieval.json").read_text())["config"]
PROJECTOR = projector_config.Config(hidden=SETTINGS["H"], d_model=SETTINGS["d"])
ALIGNER = aligner_config.Config(
    layers=SETTINGS["layers"],
    d_model=SETTINGS["d"],
    heads=SETTINGS["heads"],
    d_kv=SETTINGS["d_kv"],
    d_ff=SETTINGS["d_ff"],
    cross_layers=tuple(SETTINGS["ca"]),
    queries=SETTINGS["nq"],
)
MASKED = config_lib.Config(
    d_model=SETTINGS["d"],
    out=SETTINGS["out"],
    pool_heads=SETTINGS["pheads"],
    image_queries=SETTINGS["Li"],
    text_queries=SETTINGS["Lt"],
)
HEADS = dataclasses.replace(MASKED, mask_padding=False)  # as the reference
# A shift of all keys alike changes no softmax: what the fixture records is rounding.
RULES = {
    "projector": projector_table.rules(PROJECTOR),
    "aligner": aligner_table.rules(ALIGNER),
    "retrieval": table.rules(HEADS),
}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "retrieval.npz") as file:
        return {k: jnp.asarray(v) if k[:3] == "in/" else v for k, v in file.items()}


@pytest.fixture(scope="module")
def tensors(golden):
    return {k[2:]: v for k, v in golden.items() if k.startswith("w/")}


@pytest.fixture(scope="module")
def params(tensors):
    every = [rule for rules in RULES.values() for rule in rules]
    assert {rule.reference for rule in every} == set(tensors)
    return {
        part: weights_lib.to_flax(rules, tensors, strict=False)
        for part, rules in RULES.items()
    }


def relative_error(got, wanted) -> float:
    largest = np.abs(wanted).max()
    return float(np.abs(np.asarray(got) - wanted).max() / (largest or 1.0))


@functools.partial(jax.jit, static_argnames=("modality", "config"))
def embed(params, states, mask, modality, config=HEADS):
    """Named stages of one modality, from language-model states [B, S, H]."""
    projector = projector_model.Projector(PROJECTOR)
    memory = projector.apply({"params": params["projector"]}, states, mask)
    queries = params["retrieval"][f"{modality}_queries"]
    queries = jnp.broadcast_to(queries[None], (len(states), *queries.shape))
    aligned = aligner_model.BiTransformer(ALIGNER).apply(
        {"params": params["aligner"]}, queries, memory, mask
    )
    heads = model_lib.RetrievalHeads(config)
    embedding = heads.apply(
        {"params": params["retrieval"]},
        aligned,
        memory,
        mask,
        method=f"embed_{modality}",
    )
    return {"memory": memory, "aligned": aligned, "embedding": embedding}


def inputs(golden, case):
    def pair(name):
        mask = golden[f"in/{case}/{name}_mask"]
        return golden[f"in/{case}/masked_{name}_part"], mask

    ids = golden[f"in/{case}/image_ids"]
    return {"image": pair("image"), "text": pair("text")}, ids


def test_weights_round_trip_bit_exact(tensors, params):
    back = {}
    for part, rules in RULES.items():
        back |= weights_lib.to_reference(rules, params[part])
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(back[name], tensor)


@pytest.mark.parametrize(
    ("modality", "config", "same"),
    [
        (modality, config, same)
        for modality in ("image", "text")
        for config, same in ((MASKED, True), (HEADS, False))
    ],
)
def test_embedding_is_independent_of_padding(golden, params, modality, config, same):
    states, mask = inputs(golden, "repeat")[0][modality]
    row, seen = states[:1], mask[:1]
    kept = int(seen.sum())
    assert kept < states.shape[1]
    alone = (row[:, :kept], seen[:, :kept])
    padded = embed(params, row, seen, modality, config)["embedding"]
    bare = embed(params, *alone, modality, config)["embedding"]
    assert (relative_error(padded, np.asarray(bare)) < 1e-5) is same


def test_rows_laid_out_differently_need_no_window(golden, params):
    """Each row's own mask over the whole prompt does what a cut-out would do."""
    states = np.asarray(golden["in/misaligned/llm_hidden_image_seq"])
    mask = np.asarray(golden["in/misaligned/labels"]) == 151655  # image tokens
    whole = embed(params, states, mask, "image", MASKED)["embedding"]
    assert len(set(mask.argmax(1))) > 1
    for row in (0, 4, 6):
        cut = states[row : row + 1, mask[row]]
        seen = np.ones(cut.shape[:2], bool)
        alone = embed(params, cut, seen, "image", MASKED)["embedding"]
        assert relative_error(whole[row : row + 1], np.asarray(alone)) < 1e-5


def test_masked_states_have_no_influence(params):
    states = jax.random.normal(jax.random.key(0), (2, 4, SETTINGS["H"]))
    mask = jnp.array([[True, True, False, False], [True, False, True, True]])

    @jax.jit
    @jax.grad
    def gradient(states):
        return embed(params, states, mask, "text", MASKED)["embedding"][:, 0].sum()

    influence = np.abs(gradient(states)).sum(-1) > 0
    np.testing.assert_array_equal(influence, mask)


def test_row_without_anything_stays_finite(params):
    states = jnp.zeros((2, 4, SETTINGS["H"]))
    mask = jnp.zeros((2, 4), bool)

    @jax.jit
    @jax.grad
    def gradient(params):
        return embed(params, states, mask, "image", MASKED)["embedding"].sum()

    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient(params)))


def test_embeddings_have_length_one_and_alpha_mixes():
    a, b = jnp.array([[3.0, 0.0]]), jnp.array([[0.0, 0.5]])
    even = model_lib.fuse(jnp.zeros(1), a, b)
    np.testing.assert_allclose(even, [[0.5**0.5, 0.5**0.5]], rtol=1e-6)
    np.testing.assert_allclose(
        model_lib.fuse(jnp.full(1, 20.0), a, b), [[1.0, 0.0]], atol=1e-6
    )


@pytest.mark.parametrize("size", config_lib.SIZES)
def test_sizes_trace_and_table_is_complete(size):
    c = config_lib.SIZES[size]
    mask = jnp.ones((2, 9), bool)
    image, text = (jnp.zeros((2, n, c.d_model)) for n in (5, 6))
    states = jnp.zeros((2, 9, c.d_model))
    given = (image, states, mask, text, states, mask)
    heads = model_lib.RetrievalHeads(c)
    variables = jax.eval_shape(heads.init, jax.random.key(0), *given)
    boxes = weights_lib.flatten(variables["params"])
    assert set(boxes) == {rule.path for rule in table.rules(c)}
    assert all(len(b.names) == b.value.ndim for b in boxes.values())
    outs = jax.eval_shape(heads.apply, variables, *given)
    assert [out.shape for out in outs] == [(2, c.out), (2, c.out), (1,)]


@pytest.mark.parametrize("size", projector_config.SIZES)
def test_projector_sizes_trace(size):
    c = projector_config.SIZES[size]
    projector = projector_model.Projector(c)
    states = jnp.zeros((2, 3, c.hidden))
    variables = jax.eval_shape(projector.init, jax.random.key(0), states)
    paths = set(weights_lib.flatten(variables["params"]))
    assert paths == {rule.path for rule in projector_table.rules(c)}
    assert jax.eval_shape(projector.apply, variables, states).shape[-1] == c.d_model


# --- the contrastive loss by itself --------------------------------------------


infonce = jax.jit(contrastive.multi_positive_infonce)


def embeddings(batch, seed=0):
    drawn = np.random.default_rng(seed).normal(size=(2, batch, 8)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


@pytest.mark.parametrize("batch", [2, 3, 9])
def test_small_batches_work(batch):
    text, image = embeddings(batch)
    total, weight, metrics = infonce(text, image, jnp.arange(batch), jnp.float32(2.0))
    logits = np.asarray(jnp.exp(2.0) * text @ image.T, np.float64)
    rows = np.log(np.exp(logits).sum(1)) - logits.diagonal()
    columns = np.log(np.exp(logits).sum(0)) - logits.diagonal()
    assert float(total / weight) == pytest.approx(rows.mean() + columns.mean(), 1e-5)
    assert float(metrics["t2i_recall_at_10"][0]) == batch


def test_single_row_is_refused():
    text, image = embeddings(1)
    with pytest.raises(BridgeError, match="no negatives"):
        infonce(text, image, jnp.zeros(1, int), jnp.float32(0.0))


def test_text_to_text_leaves_out_rows_without_another_positive():
    text, image = embeddings(4)
    ids = jnp.array([5, 5, 6, 7])
    *_, metrics = infonce(text, image, ids, jnp.float32(1.0))
    total, count = metrics["t2t"]
    logits = np.asarray(jnp.exp(1.0) * text @ text.T, np.float64)
    rows = np.log(np.exp(logits).sum(1))  # the item's own logit stays in
    wanted = rows[0] - logits[0, 1] + rows[1] - logits[1, 0]
    assert count == 2
    assert float(total) == pytest.approx(wanted, 1e-5)


def test_right_pairs_lower_the_loss():
    text, _ = embeddings(6)
    ids, scale = jnp.arange(6), jnp.float32(3.0)
    right, *_ = infonce(text, text, ids, scale)
    wrong, *_ = infonce(text, text[::-1], ids, scale)
    assert right < wrong
