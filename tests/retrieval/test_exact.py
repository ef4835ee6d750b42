"""What is found is what a full comparison finds, however it is found."""

import jax
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh

from bridge_jax.retrieval import changes, exact, nearest, reading, rounded
from bridge_jax.retrieval.segment import Segment

WIDTH = 24


def drawn(count, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def wanted(vectors, queries, k, alive=None):
    """Places by float64 scores; among equals the earlier."""
    scores = (queries.astype(np.float64) @ vectors.T.astype(np.float64)).astype("f4")
    if alive is not None:
        scores[:, ~alive] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def on_disk(folder, vectors):
    ids = [str(i) for i in range(len(vectors))]
    changes.replace(folder, [vectors], ids, vectors.shape[1], "")
    return reading.read(folder)[1]


@pytest.fixture
def all_rounded(monkeypatch):
    monkeypatch.setattr(exact, "FEW", 0)


@pytest.fixture
def full_searches(monkeypatch):
    """How many queries each comparison with float32 vectors had."""
    asked, search = [], exact.search

    def counted(segments, queries, *rest, in_full=False):
        if in_full:
            asked.append(len(queries))
        return search(segments, queries, *rest, in_full=in_full)

    monkeypatch.setattr(exact, "search", counted)
    return asked


@pytest.mark.parametrize("devices", [1, 2, 6, 8])
def test_devices_share_the_rows(devices, monkeypatch):
    """Blocks smaller than the pieces, a last one that overlaps, rows that are none."""
    monkeypatch.setattr(nearest, "BYTES", 64 * 4 * WIDTH * devices)
    mesh = Mesh(
        np.array(jax.devices()[:devices]).reshape(-1, 1 + (devices == 8)).T,
        ("data", "tensor"),
        axis_types=(AxisType.Auto,) * 2,
    )
    vectors, queries = drawn(1500), drawn(5, 1)
    alive = np.random.default_rng(2).random(1500) < 0.5
    pieces = [(vectors[:1100], alive[:1100]), (vectors[1100:], alive[1100:])]
    places, scores = nearest.nearest(pieces, queries, 9, mesh)
    np.testing.assert_array_equal(places, wanted(vectors, queries, 9, alive))
    expected = np.take_along_axis(queries @ vectors.T, places, axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_many_queries_and_many_answers():
    vectors, queries = drawn(700), drawn(300, 1)
    places, _ = nearest.nearest([(vectors, None)], queries, 700)
    assert places.shape == (300, 700)
    np.testing.assert_array_equal(places[:, :5], wanted(vectors, queries, 5))
    assert (np.sort(places, axis=1) == np.arange(700)).all()


def test_among_equals_the_earlier_wins_across_blocks_and_devices(monkeypatch):
    monkeypatch.setattr(nearest, "BYTES", 256 * 4 * WIDTH)
    vectors = np.repeat(drawn(1), 3000, axis=0)
    for count in (1, 4):
        one = np.array(jax.devices()[:count])
        mesh = Mesh(one, ("rows",), axis_types=(AxisType.Auto,))
        places, _ = nearest.nearest([(vectors, None)], vectors[:1], 20, mesh)
        assert places[0].tolist() == list(range(20))


def test_rounded_vectors_find_the_exact_ones(tmp_path, all_rounded, full_searches):
    vectors, queries = drawn(4000), drawn(6, 1)
    segments = on_disk(tmp_path / "i", vectors)
    assert segments[0].rounded.dtype == ml_dtypes.bfloat16
    places, scores = exact.search(segments, queries, 5)
    np.testing.assert_array_equal(places, wanted(vectors, queries, 5))
    expected = np.take_along_axis(queries @ vectors.T, places, axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert full_searches == []  # it was proven


def test_what_cannot_be_proven_is_searched_for_in_full(
    tmp_path, all_rounded, full_searches
):
    """So many that differ by less than rounding takes: the rounded ones mislead."""
    draw = np.random.default_rng(0)
    near = np.repeat(drawn(1), 3000, axis=0)
    near += draw.normal(size=near.shape).astype(np.float32) * 1e-5
    vectors = np.concatenate([drawn(500, 3), near])
    queries = np.concatenate([near[:1], drawn(1, 4)])
    segments = on_disk(tmp_path / "i", vectors)
    rough, _ = nearest.nearest([(segments[0].rounded, None)], queries, 5)
    right = wanted(vectors, queries, 5)
    assert not np.array_equal(rough[0], right[0])
    places, _ = exact.search(segments, queries, 5)
    full = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    found, best = (np.take_along_axis(full, one, axis=1) for one in (places, right))
    np.testing.assert_allclose(found, best, atol=2e-7)  # of float32's rounding
    assert full_searches == [1]  # the other query was proven


def test_the_bound_holds():
    draw = np.random.default_rng(0)
    for scale in (1.0, 1e-3, 1e4):
        vectors = (draw.normal(size=(2000, 64)) * scale).astype(np.float32)
        queries = draw.normal(size=(4, 64)).astype(np.float32)
        norms = rounded.Norms()
        near = vectors.astype(ml_dtypes.bfloat16)
        norms.add(vectors, near)
        short = queries.astype(ml_dtypes.bfloat16)
        error = rounded.error(queries, short, norms.longest, norms.residual)
        places, rough = nearest.nearest([(near, None)], queries, 2000)
        full = queries.astype(np.float64) @ vectors.T.astype(np.float64)
        off = np.abs(np.take_along_axis(full, places, axis=1) - rough).max(axis=1)
        assert (off <= error).all() and (off > error / 200).all()


def test_pieces_of_an_index_are_one(tmp_path, all_rounded):
    vectors, queries = drawn(900), drawn(3, 1)
    segments = on_disk(tmp_path / "i", vectors[:600])
    segments += (on_disk(tmp_path / "j", vectors[600:])[0].without(range(100)),)
    alive = np.ones(900, bool)
    alive[600:700] = False
    places, _ = exact.search(segments, queries, 50)
    np.testing.assert_array_equal(places, wanted(vectors, queries, 50, alive))
    every, _ = exact.search(segments, queries, 800)
    assert set(every[0].tolist()) == set(np.flatnonzero(alive).tolist())


def test_vectors_are_not_copied():
    """A block on a CPU is where the vectors are mapped."""
    vectors = np.zeros((1 << 12, 64), np.float32)
    [(block, counts, start)] = nearest._blocks([(vectors, None)], 1)
    assert block.base is vectors or block is vectors
    assert counts.all() and start == 0


def test_rows_are_read_without_their_neighbours(tmp_path):
    vectors = drawn(300)
    [segment] = on_disk(tmp_path / "i", vectors)
    rows = np.array([299, 0, 17])
    np.testing.assert_array_equal(segment.take(rows), vectors[rows])
    memory = Segment(vectors, tuple(map(str, range(300))))
    np.testing.assert_array_equal(memory.take(rows), vectors[rows])
