"""Several things a row: all of them, once an epoch, in rows that are full."""

import itertools

import numpy as np
import pytest

from bridge_jax.data.records import packing, survey
from bridge_jax.data.records.packed_epochs import PackedEpochs

ROOM = (100, 40)


def sizes(count, seed=0):
    draw = np.random.default_rng(seed)
    return np.stack([draw.integers(1, 60, count), draw.integers(0, 30, count)], axis=1)


def test_everything_is_in_one_bin_and_no_bin_overflows():
    given = sizes(500)
    bins = packing.first_fit(given, ROOM)
    members = [bins[number] for number in range(len(bins))]
    assert sorted(np.concatenate(members)) == list(range(500))
    assert all((given[one].sum(axis=0) <= ROOM).all() and len(one) for one in members)
    # No bin could take the first thing of the next one: that is what first fit means.
    for one, other in itertools.pairwise(members):
        before = one[one < other[0]]
        assert ((given[before].sum(axis=0) + given[other[0]]) > ROOM).any()


def test_only_the_last_bins_are_open():
    given = np.array([[60], [60], [60], [40], [40], [40]])
    wide, narrow = (packing.first_fit(given, (100,), open_bins=n) for n in (8, 1))
    assert [wide[i].tolist() for i in range(len(wide))] == [[0, 3], [1, 4], [2, 5]]
    expected = [[0], [1], [2, 3], [4, 5]]
    assert [narrow[i].tolist() for i in range(len(narrow))] == expected


def test_rows_go_on_over_epochs_and_are_found_in_any_order():
    given = sizes(200)
    forward = PackedEpochs(given, ROOM, seed=3)
    counts = [forward.count(epoch) for epoch in range(4)]
    rows = [forward[i].tolist() for i in range(sum(counts))]
    start = 0
    for count in counts:
        epoch = rows[start : start + count]
        assert sorted(itertools.chain(*epoch)) == list(range(200))
        start += count
    assert rows[: counts[0]] != rows[counts[0] : 2 * counts[0]]
    backward = PackedEpochs(given, ROOM, seed=3)
    assert [backward[i].tolist() for i in reversed(range(len(rows)))] == rows[::-1]
    assert PackedEpochs(given, ROOM, seed=4)[0].tolist() != rows[0]


def test_fill_is_the_share_in_use():
    packed = PackedEpochs(np.array([[50, 10], [50, 0], [70, 20]]), ROOM, seed=0)
    np.testing.assert_allclose(packed.fill(), [170 / 200, 30 / 80])


def test_a_survey_measures_all_and_passes_on_what_stops_it():
    found = survey.take(1000, lambda i: (i, 2 * i) if i % 3 else None, 2, "measuring")
    for number in range(1000):
        good = [number, 2 * number] if number % 3 else [-1, -1]
        assert found[number].tolist() == good

    def stops(number):
        if number == 700:
            raise ZeroDivisionError
        return (1,)

    with pytest.raises(ZeroDivisionError):
        survey.take(100_000, stops, 1, "measuring")
