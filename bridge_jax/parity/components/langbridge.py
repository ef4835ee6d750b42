"""The vocabulary adapter, and the same adapter on another language model's words."""

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from bridge_jax.core import weights as tables
from bridge_jax.models.langbridge import config as config_lib
from bridge_jax.models.langbridge import model as model_lib
from bridge_jax.models.langbridge import weights
from bridge_jax.parity.comparison import COMPOSED, Value
from bridge_jax.parity.fixture import Fixture

LEFT_OUT: dict[str, str] = {}
MATRICES = {
    # recorded output -> the words that it is a combination of
    "image_features": "mm_vocab_matrix",
    "image_features_other_llm": "mm_vocab_matrix_other_llm",
}
HALF = 2.0**-7  # bfloat16: one unit in the last place


def config(fixture: Fixture) -> config_lib.Config:
    return config_lib.Config(**fixture.sizes(vision="vit", hidden="mlp", vocab="vocab"))


def rules(fixture: Fixture) -> list[list[tables.Rule]]:
    words = [tables.Rule(name, name) for name in MATRICES.values()]
    return [list(weights.rules(config(fixture))), words]


def compute(fixture: Fixture) -> Iterator[Value]:
    sizes = config(fixture)
    [table, _] = rules(fixture)
    params = tables.to_flax(table, fixture.weights, strict=False)
    features = jnp.asarray(fixture["in/vision_features"])
    words = {name: jnp.asarray(fixture[f"w/{name}"]) for name in MATRICES.values()}
    own = words["mm_vocab_matrix"]

    def mixed(params, sizes, words):
        adapter = model_lib.VocabularyAdapter(sizes)
        return model_lib.mix(adapter.apply({"params": params}, features), words)

    coefficients = model_lib.VocabularyAdapter(sizes).apply(
        {"params": params}, features
    )
    yield Value("out/vocab_logits", coefficients, COMPOSED)
    for name, matrix in MATRICES.items():
        yield Value(f"out/{name}", mixed(params, sizes, words[matrix]), COMPOSED)
    softmax = dataclasses.replace(sizes, form="softmax")
    name = "out/NOT_original_softmax_variant"
    yield Value(name, mixed(params, softmax, own), COMPOSED)
    half = dataclasses.replace(sizes, dtype="bfloat16")
    yield Value("out/image_features_bf16", mixed(params, half, own), HALF)
    gradients = jax.grad(lambda p: jnp.sum(jnp.square(mixed(p, sizes, own))))(params)
    ours = tables.to_reference(table, gradients)
    for name in fixture.below("grad/"):
        yield Value(f"grad/{name}", ours[name], COMPOSED)
