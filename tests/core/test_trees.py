import pytest

from bridge_jax.core import trees
from bridge_jax.core.errors import BridgeError

TREE = {"llm": {"layers_0": {"kernel": 1, "bias": 2}}, "dit": {"kernel": 3}}


def test_first_pattern_wins_and_covers_whole_paths():
    mask = trees.match([("llm/.*/bias", "b"), ("llm/.*", "l"), (".*", "r")], TREE)
    assert trees.flatten(mask) == {
        "llm/layers_0/kernel": "l",
        "llm/layers_0/bias": "b",
        "dit/kernel": "r",
    }


def test_a_dead_pattern_names_the_nearest_paths():
    with pytest.raises(
        BridgeError, match="'lm/.*' matches no parameter; nearest: .*llm"
    ):
        trees.match([("lm/.*", 1), (".*", 0)], TREE)


def test_uncovered_paths_and_bad_patterns():
    with pytest.raises(BridgeError, match="no pattern covers 2 parameter"):
        trees.match([("dit/.*", 1)], TREE)
    assert trees.match([("dit/.*", 1)], TREE, 0)["llm"]["layers_0"]["bias"] == 0
    with pytest.raises(BridgeError, match="no regular expression"):
        trees.match([("(", 1)], TREE)


def test_parts_come_together_again():
    mask = trees.match([(".*/kernel", True), (".*", False)], TREE)
    kernels, others = trees.partition(TREE, mask)
    assert kernels == {"llm": {"layers_0": {"kernel": 1}}, "dit": {"kernel": 3}}
    assert others == {"llm": {"layers_0": {"bias": 2}}}
    assert trees.combine(kernels, others) == TREE
    assert trees.combine(TREE, {"dit": {"kernel": 9}})["dit"]["kernel"] == 9


def test_map_paths():
    doubled = trees.map_paths(lambda path, a, b: (path, a + b), TREE, TREE)
    assert doubled["dit"]["kernel"] == ("dit/kernel", 6)


def test_difference_names_all():
    wanted = {"a/kernel": (2, 3), "a/bias": (3,)}
    found = {"a/kernel": (3, 2), "a/bia": (3,)}
    assert trees.difference(wanted, found) == [
        "a/kernel is [3, 2], wanted [2, 3]",
        "missing a/bias [3] (nearest: a/bia)",
        "unused a/bia",
    ]
