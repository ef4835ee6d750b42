"""The semantic-guided objective: projector, aligner and mT5 together.

`direct` starts at tokens, `orig` is what the reference's whole stage-2 step fed to its
aligner, mT5 and loss.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from bridge_jax.core import weights as tables
from bridge_jax.models.bitransformer import config as aligner_config
from bridge_jax.models.bitransformer import model as aligner_model
from bridge_jax.models.bitransformer import weights as aligner_table
from bridge_jax.models.mt5 import config as mt5_config
from bridge_jax.models.mt5 import model as mt5_model
from bridge_jax.models.mt5 import weights as mt5_table
from bridge_jax.models.projector import config as projector_config
from bridge_jax.models.projector import model as projector_model
from bridge_jax.models.projector import weights as projector_table
from bridge_jax.models.qwen2_vl import config as llm_config
from bridge_jax.models.qwen2_vl import weights as llm_table
from bridge_jax.objectives import semantic
from bridge_jax.parity.comparison import COMPOSED, SINGLE, Value
from bridge_jax.parity.fixture import Fixture

LEFT_OUT = {
    "in/*/p": "the rate by which the recorded mask was drawn",
    "in/orig/actual_lengths": "the recorded masks say it",
    "in/orig/gen_len": "the recorded states are of these tokens",
    "in/orig/labels": "the recorded states are of these tokens",
    "in/orig/inputs_embeds": "the language model's states are given; fixture qwen2_vl"
    " compares the language model",
}
# Which states each call of the aligner in the reference's step read. Its text call is
# for retrieval rows; there are none here, so that memory is empty.
CALLS = {
    "hy": ("qwen2vl_states", "qwen2vl_attention_masks", "query_mask"),
    "vision": ("qwen2vl_states", "qwen2vl_attention_masks", "query_mask_vision"),
    "text": (
        "retrieval_hidden_states",
        "retrieval_attention_mask",
        "query_mask_text",
    ),
}


class Parts:
    """The parts of a fixture, with their tables and parameters."""

    def __init__(self, fixture: Fixture):
        shared = fixture.sizes(d_model="d_model", heads="heads", d_kv="d_kv")
        shared |= fixture.given(buckets="buckets", max_distance="maxd", eps="eps")
        self.projector = projector_config.Config(
            **fixture.sizes(hidden="H", d_model="d_model")
        )
        self.aligner = aligner_config.Config(
            cross_layers=tuple(fixture.config["ca"]),
            **fixture.sizes(layers="layers", d_ff="d_ff", queries="nq"),
            **shared,
        )
        self.mt5 = mt5_config.Config(
            **fixture.sizes(layers="t5_layers", d_ff="t5_d_ff", vocab="V", length="nq"),
            **shared,
        )
        self.tables = {
            "projector": projector_table.rules(self.projector),
            "aligner": aligner_table.rules(self.aligner),
            "mt5": mt5_table.rules(self.mt5, prefix="t5."),
        }

    def project(self, params, states, mask):
        module = projector_model.Projector(self.projector)
        return module.apply({"params": params["projector"]}, states, mask)

    def align(self, params, embeddings, states, mask, replace):
        memory = self.project(params, states, mask)
        module = aligner_model.BiTransformer(self.aligner)
        return module.apply(
            {"params": params["aligner"]}, embeddings, memory, mask, replace=replace
        )

    def encode(self, params, *given, method=None):
        module = mt5_model.Encoder(self.mt5)
        return module.apply({"params": params["mt5"]}, *given, method=method)


def rules(fixture: Fixture) -> list[list[tables.Rule]]:
    return [*Parts(fixture).tables.values(), _llm_rules(fixture)]


def compute(fixture: Fixture) -> Iterator[Value]:
    parts = Parts(fixture)
    params = {
        part: tables.to_flax(rules, fixture.weights, strict=False)
        for part, rules in parts.tables.items()
    }
    yield from _direct(fixture, parts, params)
    yield from _original(fixture, parts, params)


def _direct(fixture, parts, params) -> Iterator[Value]:
    given = {k: jnp.asarray(v) for k, v in fixture.below("in/direct/").items()}
    embeddings = parts.encode(params, given["t5_ids"], method="embed")
    yield Value("out/direct/embeds", embeddings, SINGLE)

    def loss(params):
        target = parts.encode(params, given["t5_ids"], given["t5_mask"])
        embeddings = parts.encode(params, given["t5_ids"], method="embed")
        memory = given["llm_states"], given["llm_mask"]
        pred = parts.align(params, embeddings, *memory, given["query_mask"])
        total, weight = semantic.semantic_mse(pred, target)
        return total / weight, {"pred": pred, "target": target}

    yield from _step(fixture, parts, params, "direct", loss)


def _original(fixture, parts, params) -> Iterator[Value]:
    given = {k: jnp.asarray(v) for k, v in fixture.below("in/orig/").items()}
    memory = given["qwen2vl_states"], given["qwen2vl_attention_masks"]
    yield Value("in/orig/masked_states", parts.project(params, *memory), SINGLE)

    def call(params, name):
        states, mask, replace = (given[argument] for argument in CALLS[name])
        return parts.align(params, given["t5_embeddings"], states, mask, replace)

    def loss(params):
        pred = call(params, "hy")
        target = parts.encode(
            params, given["t5_embeddings"], given["t5_attention_masks"]
        )
        total, weight = semantic.semantic_mse(pred, target)
        return total / weight, {"hy_ar_logits": pred, "t5_ar_labels": target}

    yield from _step(fixture, parts, params, "orig", loss)
    for name in ("text", "vision"):
        yield Value(f"out/orig/{name}_ar_logits", call(params, name), COMPOSED)


def _step(fixture, parts, params, case, loss) -> Iterator[Value]:
    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, outputs), gradients = step(params)
    yield Value(f"out/{case}/loss", value, COMPOSED)
    for name, output in outputs.items():
        yield Value(f"out/{case}/{name}", output, COMPOSED)
    ours = {}
    for part in ("projector", "aligner"):
        ours |= tables.to_reference(parts.tables[part], gradients[part])
    for name in fixture.below(f"grad/{case}/"):
        yield Value(f"grad/{case}/{name}", ours[name], COMPOSED)


def _llm_rules(fixture: Fixture) -> list[tables.Rule]:
    """Of the language model in the fixture, under the names that it has there."""
    sizes = fixture.config["llm"]
    config = llm_config.Config(
        vocab_size=fixture.config["V"],
        hidden_size=sizes["hidden"],
        layers=sizes["layers"],
        heads=sizes["heads"],
        kv_heads=sizes["kv"],
        head_dim=sizes["hidden"] // sizes["heads"],
        ffn_size=sizes["inter"],
        mrope_sections=tuple(sizes["mrope_section"]),
        theta=sizes["rope_theta"],
        eps=sizes["rms_norm_eps"],
    )
    return [
        _renamed(rule)
        for rule in llm_table.rules(config)
        if not rule.reference.startswith("visual.")
    ]


def _renamed(rule: tables.Rule) -> tables.Rule:
    name = rule.reference
    if name.startswith("model."):
        name = "llm." + name.removeprefix("model.")
    return tables.Rule(name, rule.path, rule.transform, rule.shape)
