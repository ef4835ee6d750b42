"""Embeddings equal training's, and the index finds what is nearest."""

import json

import jax
import numpy as np
import pytest

import bridge_jax
from bridge_jax.core import rng
from bridge_jax.core.errors import BridgeError
from bridge_jax.models import view
from bridge_jax.retrieval import Index

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


def test_the_index_is_exact(tmp_path):
    draw = np.random.default_rng(0)
    stored = draw.normal(size=(500, 8)).astype(np.float32)
    Index.build(stored, [f"p{i}" for i in range(500)], "m1").save(tmp_path / "i")
    index = Index.open(tmp_path / "i", "m1")
    queries = draw.normal(size=(3, 8)).astype(np.float32)
    ids, scores = index.search(queries, 4)
    full = queries @ stored.T
    for row, found, given in zip(full, ids, scores, strict=True):
        best = np.argsort(-row, kind="stable")[:4]
        assert found == [f"p{i}" for i in best]
        np.testing.assert_allclose(given, row[best], rtol=1e-5)
    assert isinstance(index.embeddings, np.memmap)
    assert index.search(queries, 1000)[1].shape == (3, 500)


def test_blocks_give_what_one_piece_gives(monkeypatch):
    stored = np.eye(7, dtype=np.float32)[[0, 1, 2, 3, 2, 5, 2]]
    index = Index.build(stored, list("abcdefg"))
    queries = np.eye(7, dtype=np.float32)[[2]]
    monkeypatch.setattr("bridge_jax.retrieval.nearest.BYTES", 2 * 7 * 4)
    assert index.search(queries, 3)[0] == [["c", "e", "g"]]


def test_saving_replaces_an_index_and_nothing_else(tmp_path):
    first = Index.build(np.eye(2), ["a", "b"])
    first.save(tmp_path / "i")
    Index.build(np.eye(3), ["a", "b", "c"]).save(tmp_path / "i")
    assert Index.open(tmp_path / "i").ids == ("a", "b", "c")
    assert [path.name for path in tmp_path.iterdir()] == ["i"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BridgeError, match="other files"):
        first.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_index_mistakes_are_one_line(tmp_path):
    index = Index.build(np.eye(4), list("abcd"), "m1")
    index.save(tmp_path / "i")
    with pytest.raises(BridgeError, match="is no index"):
        Index.open(tmp_path / "nowhere")
    with pytest.raises(BridgeError, match="another model"):
        Index.open(tmp_path / "i", "m2")
    with pytest.raises(BridgeError, match=r"queries \[Q, 4\]"):
        index.search(np.eye(3), 1)
    with pytest.raises(BridgeError, match="2 ids"):
        Index.build(np.eye(3), ["a", "b"])
    with pytest.raises(BridgeError, match="finite"):
        Index.build(np.full((1, 2), np.nan), ["a"])
    whole = (tmp_path / "i" / "embeddings.npy").read_bytes()
    (tmp_path / "i" / "embeddings.npy").write_bytes(whole[:-8])
    with pytest.raises(BridgeError, match="damaged"):
        Index.open(tmp_path / "i")
    (tmp_path / "i" / "embeddings.npy").write_bytes(whole)
    (tmp_path / "i" / "ids.json").write_text(json.dumps(list("abce")))
    with pytest.raises(BridgeError, match="damaged"):
        Index.open(tmp_path / "i")
