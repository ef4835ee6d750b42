"""Projector, aligner and mT5 together: the semantic-guided objective."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import weights as weights_lib
from bridge_jax.models.bitransformer import config as aligner_config
from bridge_jax.models.bitransformer import model as aligner_model
from bridge_jax.models.bitransformer import weights as aligner_table
from bridge_jax.models.mt5 import config as mt5_config
from bridge_jax.models.mt5 import model as mt5_model
from bridge_jax.models.mt5 import weights as mt5_table
from bridge_jax.models.projector import config as projector_config
from bridge_jax.models.projector import model as projector_model
from bridge_jax.models.projector import weights as projector_table
from bridge_jax.objectives import semantic

GOLDEN = Path(__file__).parents[1] / "golden"
TOLERANCE = 1e-4  # composed modules
SETTINGS = json.loads((GOLDEN / "alignment_mse.json").read_text())["config"]
SHARED = {name: SETTINGS[name] for name in ("d_model", "heads", "d_kv")}
PROJECTOR = projector_config.Config(hidden=SETTINGS["H"], d_model=SETTINGS["d_model"])
ALIGNER = aligner_config.Config(
    layers=SETTINGS["layers"],
    d_ff=SETTINGS["d_ff"],
    cross_layers=tuple(SETTINGS["ca"]),
    queries=SETTINGS["nq"],
    **SHARED,
)
MT5 = mt5_config.Config(
    layers=SETTINGS["t5_layers"],
    d_ff=SETTINGS["t5_d_ff"],
    vocab=SETTINGS["V"],
    length=SETTINGS["nq"],
    **SHARED,
)
RULES = {
    "projector": projector_table.rules(PROJECTOR),
    "aligner": aligner_table.rules(ALIGNER),
    "mt5": mt5_table.rules(MT5, prefix="t5."),
}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "alignment_mse.npz") as file:
        return {k: jnp.asarray(v) if k[:3] == "in/" else v for k, v in file.items()}


@pytest.fixture(scope="module")
def params(golden):
    tensors = {k[2:]: v for k, v in golden.items() if k.startswith("w/")}
    # Not strict: the fixture also holds a language model.
    return {
        part: weights_lib.to_flax(rules, tensors, strict=False)
        for part, rules in RULES.items()
    }


def relative_error(got, wanted) -> float:
    return float(np.abs(np.asarray(got) - wanted).max() / np.abs(wanted).max())


def project(params, states, mask):
    module = projector_model.Projector(PROJECTOR)
    return module.apply({"params": params["projector"]}, states, mask)


def align(params, embeddings, memory, mask, replace):
    module = aligner_model.BiTransformer(ALIGNER)
    arguments = (embeddings, memory, mask)
    return module.apply({"params": params["aligner"]}, *arguments, replace=replace)


@jax.jit
def direct(params, given):
    """(loss, aligner output, mT5 output) from tokens and language-model states."""
    mt5, variables = mt5_model.Encoder(MT5), {"params": params["mt5"]}
    tokens, mask = given["t5_ids"], given["llm_mask"]
    target = mt5.apply(variables, tokens, given["t5_mask"])
    embeddings = mt5.apply(variables, tokens, method="embed")
    memory = project(params, given["llm_states"], mask)
    pred = align(params, embeddings, memory, mask, given["query_mask"])
    total, weight = semantic.semantic_mse(pred, target)
    return total / weight, (pred, target)


@jax.jit
def original(params, given):
    """The same as the reference's stage-2 step ran it."""
    mask = given["qwen2vl_attention_masks"]
    memory = project(params, given["qwen2vl_states"], mask)
    pred = align(params, given["t5_embeddings"], memory, mask, given["query_mask"])
    target = mt5_model.Encoder(MT5).apply(
        {"params": params["mt5"]}, given["t5_embeddings"], given["t5_attention_masks"]
    )
    total, weight = semantic.semantic_mse(pred, target)
    return total / weight, (pred, target)


ROUTES = {
    "direct": (direct, "pred", "target"),
    "orig": (original, "hy_ar_logits", "t5_ar_labels"),
}


def inputs(golden, case):
    prefix = f"in/{case}/"
    return {k.removeprefix(prefix): v for k, v in golden.items() if prefix in k}


@pytest.mark.parametrize("case", ROUTES)
def test_objective_and_gradients_match_reference(golden, params, case):
    run, pred_name, target_name = ROUTES[case]
    step = jax.value_and_grad(run, has_aux=True)
    (loss, (pred, target)), gradients = step(params, inputs(golden, case))
    assert relative_error(loss, golden[f"out/{case}/loss"]) < TOLERANCE
    assert relative_error(loss * 1.01, golden[f"out/{case}/loss"]) > TOLERANCE
    assert relative_error(pred, golden[f"out/{case}/{pred_name}"]) < TOLERANCE
    assert relative_error(target, golden[f"out/{case}/{target_name}"]) < TOLERANCE
    ours = {}
    for part in ("projector", "aligner"):
        ours |= weights_lib.to_reference(RULES[part], gradients[part])
    names = [k for k in golden if k.startswith(f"grad/{case}/")]
    assert len(names) == 5
    for name in names:
        error = relative_error(ours[name.removeprefix(f"grad/{case}/")], golden[name])
        assert error < TOLERANCE, name


def test_loss_alone_matches_reference(golden):
    pred, target = (jnp.asarray(golden[f"out/direct/{n}"]) for n in ("pred", "target"))
    total, weight = semantic.semantic_mse(pred, target)
    assert relative_error(total / weight, golden["out/direct/loss"]) < 1e-5


def test_masked_states_project_to_exactly_zero(golden, params):
    mask = golden["in/orig/qwen2vl_attention_masks"]
    memory = project(params, golden["in/orig/qwen2vl_states"], mask)
    assert relative_error(memory, golden["in/orig/masked_states"]) < 1e-5
    noise = jnp.full((4, 6, SETTINGS["H"]), 3.0)
    assert not np.asarray(project(params, noise, mask))[mask == 0].any()


@pytest.mark.parametrize("name", ["text", "vision"])
def test_other_aligner_calls_of_the_step_match(golden, params, name):
    given = inputs(golden, "orig")
    # The text call is for retrieval rows; there are none, so its memory is empty.
    which = {"text": "retrieval_hidden_states", "vision": "qwen2vl_states"}
    masks = {"text": "retrieval_attention_mask", "vision": "qwen2vl_attention_masks"}
    states, mask = given[which[name]], given[masks[name]]
    memory = project(params, states, mask)
    replace = given[f"query_mask_{name}"]
    pred = align(params, given["t5_embeddings"], memory, mask, replace)
    assert relative_error(pred, golden[f"out/orig/{name}_ar_logits"]) < TOLERANCE


def test_target_gets_no_gradient():
    pred, target = jnp.ones((2, 3, 4)), jnp.zeros((2, 3, 4))
    value = jax.grad(lambda t: semantic.semantic_mse(pred, t)[0])(target)
    assert not value.any()


def test_batches_merge_exactly():
    keys = jax.random.split(jax.random.key(0))
    pred, target = (jax.random.normal(k, (4, 3, 5)) for k in keys)
    whole = semantic.semantic_mse(pred, target)
    one = semantic.semantic_mse(pred[:1], target[:1])
    rest = semantic.semantic_mse(pred[1:], target[1:])
    np.testing.assert_allclose(one[0] + rest[0], whole[0], rtol=1e-6)
    assert one[1] + rest[1] == whole[1] == 4
