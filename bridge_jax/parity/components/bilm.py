"""The aligner: a bidirectional T5 stack with cross-attention and learned queries."""

import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

from bridge_jax.core import weights as tables
from bridge_jax.layers import t5
from bridge_jax.models.bitransformer import config as config_lib
from bridge_jax.models.bitransformer import model as model_lib
from bridge_jax.models.bitransformer import weights
from bridge_jax.parity.comparison import COMPOSED, EXACT, Value
from bridge_jax.parity.fixture import Fixture

LEFT_OUT = {
    "in/*/p": "the rate by which the recorded mask was drawn",
    "in/*/mask_raw": "the mask before edit rows were taken out of it",
    "in/*/edit_indexs": "which rows were taken out of the mask; the mask is given",
}
ARGUMENTS = (
    "inputs_embeds",
    "encoder_hidden_states",
    "encoder_attention_mask",
    "attention_mask",
    "mask",
)


def config(fixture: Fixture) -> config_lib.Config:
    sizes = fixture.sizes(
        layers="layers",
        d_model="d_model",
        heads="heads",
        d_kv="d_kv",
        d_ff="d_ff",
        queries="nq",
        buckets="buckets",
        max_distance="maxd",
        eps="eps",
    )
    return config_lib.Config(cross_layers=tuple(fixture.config["ca"]), **sizes)


def rules(fixture: Fixture) -> list[list[tables.Rule]]:
    return [weights.rules(config(fixture), prefix="")]


def compute(fixture: Fixture) -> Iterator[Value]:
    sizes = config(fixture)
    [table] = rules(fixture)
    params = tables.to_flax(table, fixture.weights)
    step = _step(sizes)
    for case in fixture.cases("out"):
        if case == "bucket":
            yield _buckets(fixture, sizes)
            continue
        (_, hidden), gradients = step(params, _inputs(fixture, case))
        yield Value(f"out/{case}/hidden", hidden, COMPOSED)
        ours = tables.to_reference(table, gradients)
        for name in fixture.below(f"grad/{case}/"):
            yield Value(f"grad/{case}/{name}", ours[name], COMPOSED)


@functools.cache
def _step(sizes: config_lib.Config) -> Callable:
    """One function for all fixtures of these sizes, so that it is compiled once."""
    model = model_lib.BiTransformer(sizes)

    def square(params, given):
        hidden = model.apply({"params": params}, *given)
        return jnp.sum(jnp.square(hidden)), hidden

    return jax.jit(jax.value_and_grad(square, has_aux=True))


def _inputs(fixture: Fixture, case: str) -> list[jax.Array | None]:
    """The model's positional arguments; calls for retrieval replace nothing."""
    given = fixture.below(f"in/{case}/")
    arguments = [given.get(name) for name in ARGUMENTS]
    if "attention_mask" in given:  # the aligner has one in retrieval calls alone
        arguments[-1] = None
    return [None if a is None else jnp.asarray(a) for a in arguments]


def _buckets(fixture: Fixture, config: config_lib.Config) -> Value:
    offsets = fixture["in/bucket/relative_position"]
    found = t5.bucket(offsets, config.buckets, config.max_distance)
    return Value("out/bucket/bucket", found, EXACT)
