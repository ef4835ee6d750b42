"""Embeddings equal training's."""

import jax
import numpy as np
import pytest

import bridge_jax
from bridge_jax.core import rng
from bridge_jax.core.errors import BridgeError
from bridge_jax.models import view

TEXTS = ["a red circle", "two large blue stars above one small ring", "a ring"]


@pytest.fixture(scope="module")
def vectors(model):
    return model.embed(texts=TEXTS)


def test_embeddings_are_unit_vectors_in_order(model, pictures, vectors):
    assert vectors.shape == (3, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    swapped = model.embed(texts=TEXTS[::-1])
    np.testing.assert_allclose(swapped[::-1], vectors, atol=1e-5)
    seen = model.embed(images=pictures[:3])
    assert seen.shape == (3, 16)
    assert np.abs(seen[0] - seen[1]).max() > 1e-3
    again = model.embed(images=[pictures[2], pictures[0]])
    np.testing.assert_allclose(again, seen[[2, 0]], atol=1e-5)


def test_embeddings_are_those_of_training(model, vectors):
    """At the padding of the training stream, which is not that of use."""
    processor, length = model.processor, 60
    rows = []
    for text in TEXTS[:2]:
        vlm, _, marked = processor.vlm([processor.say(text)], [], length, 0)
        index, mask = processor.memory(marked, length)
        rows.append({"vlm_text": vlm, "text_index": index, "text_mask": mask})
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)

    @jax.jit
    def trained(params):
        streams = rng.Streams(0, 0)
        bundle = model.engine.bundle
        seen = view.View(bundle, params, batch, rngs=streams, step=0, train=False)
        return seen.embedding("text")

    np.testing.assert_allclose(trained(model.params), vectors[:2], atol=1e-5)


def test_embedding_mistakes(model, pictures):
    with pytest.raises(BridgeError, match="images or texts"):
        model.embed()
    with pytest.raises(BridgeError, match="text 1 is empty"):
        model.embed(texts=["a", " "])
    with pytest.raises(BridgeError, match="no image"):
        model.embed(images=[])
    with pytest.raises(BridgeError, match="must be a list"):
        model.embed(images=pictures[0])


def test_fingerprints_tell_models_apart(folder, model):
    again = bridge_jax.load(folder)
    assert again.fingerprint == model.fingerprint
    other = jax.tree.map(lambda a: np.asarray(a) + 1e-3, model.params)
    assert model.with_params(other).fingerprint != model.fingerprint
