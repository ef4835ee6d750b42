"""FAISS proposes, the vectors decide."""

import importlib
import sys

import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.retrieval import Index, approximate


def clustered(count, seed=0):
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(40, 16))
    rows = centres[draw.integers(0, 40, count)] + 0.3 * draw.normal(size=(count, 16))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def index(tmp_path):
    ids = [str(i) for i in range(6000)]
    Index.build(clustered(6000), ids, "m").save(tmp_path / "i")
    return Index.open(tmp_path / "i")


def test_most_of_the_nearest_are_found_and_scores_are_exact(index):
    queries = clustered(20, 1)
    ids, scores = index.search(queries, 10, approximate=True)
    exact, best = index.search(queries, 10)
    shares = [len({*a} & {*b}) / 10 for a, b in zip(ids, exact, strict=True)]
    assert np.mean(shares) > 0.9
    rows = np.array(ids, int)
    expected = np.einsum("qe,qke->qk", queries, np.asarray(index.embeddings)[rows])
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert (np.diff(scores, axis=1) <= 0).all() and (scores <= best + 1e-6).all()
    assert 0.9 < index.recall(10, 50) <= 1


def test_it_is_made_once_and_follows_changes(index, monkeypatch):
    queries = clustered(3, 1)
    assert not approximate.is_made(index.segments)
    first = index.search(queries, 5, approximate=True)[0]
    assert approximate.is_made(index.segments)
    again = Index.open(index.folder)
    monkeypatch.setattr(approximate, "_made", None)  # read, not made
    assert again.search(queries, 5, approximate=True)[0] == first
    monkeypatch.undo()
    again.remove(first[0])
    again.add(queries[:1], ["new"])
    after = again.search(queries, 5, approximate=True)[0]
    assert after[0][0] == "new" and not {*first[0]} & {*after[0]}
    again.compact()
    assert again.search(queries, 5, approximate=True)[0][0][0] == "new"
    # As many as there are, though few lists are looked into at first.
    assert len(again.search(queries, 5500, approximate=True)[0][0]) == 5500


def test_a_damaged_structure_is_made_anew(index):
    queries = clustered(3, 1)
    first = index.search(queries, 5, approximate=True)[0]
    [path] = index.folder.glob("*/approximate.faiss")
    path.write_bytes(path.read_bytes()[:100])
    assert Index.open(index.folder).search(queries, 5, approximate=True)[0] == first


def test_few_vectors_are_compared_in_full(tmp_path):
    index = Index.build(np.eye(4), list("abcd"))
    assert index.search(np.eye(4), 2, approximate=True)[0][2][0] == "c"
    assert index.recall(2) == 1


def test_without_faiss_one_line_says_what_to_install(index, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(BridgeError, match=r"pip install 'bridge_jax\[faiss\]'"):
        index.search(clustered(1), 1, approximate=True)
    monkeypatch.undo()
    assert importlib.import_module("faiss")
