"""Digests tell what differs, and nothing else."""

import itertools

import numpy as np

from bridge_jax.data.records import duplicates

DIFFERENT = [
    {},
    {"a": 1},
    {"a": "1"},
    {"a": True},
    {"a": [1]},
    {"a": None},
    {"a": "None"},
    {"a": b"1"},
    {"b": 1},
    {"a": ["x", "y"]},
    {"a": ["xy"]},
    {"a": {"x": "y"}},
    {"a": "x", "b": "y"},
    {"a": "xby"},
    {"a": np.zeros((2, 3), np.uint8)},
    {"a": np.zeros((3, 2), np.uint8)},
    {"a": np.zeros((2, 3), np.int8)},
    {"a": "\ud800"},
]


def test_whatever_differs_has_another_digest():
    for one, other in itertools.combinations(DIFFERENT, 2):
        assert duplicates.digest(one) != duplicates.digest(other), (one, other)


def test_order_of_fields_is_no_difference():
    one = {"a": 1, "b": [1, {"c": "d", "e": "f"}]}
    other = {"b": [1, {"e": "f", "c": "d"}], "a": 1}
    assert duplicates.digest(one) == duplicates.digest(other)
    assert all(0 <= part < 2**31 for part in duplicates.digest(one))


def test_the_first_of_each_is_named():
    given = np.array([[5, 1], [5, 2], [5, 1], [0, 9], [5, 2], [5, 1]])
    assert duplicates.firsts(given).tolist() == [0, 1, 0, 3, 1, 0]
