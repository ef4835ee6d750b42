"""Embeddings equal training's."""

import jax
import numpy as np
import pytest

import bridge_jax
from bridge_jax.core import rng
from bridge_jax.core.errors import BridgeError
from bridge_jax.inference import inputs, opening
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


def trained(model, modality, rows):
    """Vectors of [(row, pictures)] as training makes them, at the padding of a stream,
    which is not that of use: whole rows, what they begin with among them."""
    processor, made = model.processor, []
    length = 4 + max(len(row.tokens) for row, _ in rows)
    for row, seen in rows:
        shown = [one.patches() for one in seen]
        size = sum(one.size for one in seen)
        vlm, _, marked = processor.vlm([row], shown, length, size)
        asked = vlm["image_index"] >= 0 if seen else marked
        index, mask = processor.memory(asked, length)
        names = (f"vlm_{modality}", f"{modality}_index", f"{modality}_mask")
        made.append(dict(zip(names, (vlm, index, mask), strict=True)))
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *made)

    @jax.jit
    def vectors(params):
        streams = rng.Streams(0, 0)
        bundle = model.engine.bundle
        seen = view.View(bundle, params, batch, rngs=streams, step=0, train=False)
        return seen.embedding(modality)

    return vectors(model.params)


def test_embeddings_of_texts_are_those_of_training(model, vectors):
    rows = [(model.processor.say(text), ()) for text in TEXTS[:2]]
    np.testing.assert_allclose(trained(model, "text", rows), vectors[:2], atol=1e-5)


def test_embeddings_of_pictures_are_those_of_training(model, pictures):
    seen = inputs.pictures(pictures[:2], model.processor)
    rows = [(model.processor.look(one.grid), (one,)) for one in seen]
    vectors = model.embed(images=pictures[:2])
    np.testing.assert_allclose(trained(model, "image", rows), vectors, atol=1e-5)


def test_long_texts_are_read_as_whole_rows(model, monkeypatch):
    text = "a red circle beside one small ring and " * 14
    row = model.processor.say(text)
    assert len(row.tokens) > opening.LONGEST + 16
    monkeypatch.setattr(opening, "hidden", None)
    vectors = model.embed(texts=[text])
    np.testing.assert_allclose(
        trained(model, "text", [(row, ())]), vectors[:1], atol=1e-5
    )


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
