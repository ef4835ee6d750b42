"""A list shared out: every item once, whatever the count."""

import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.eval.outside.shards import WHOLE, Shard


@pytest.mark.parametrize("length", [0, 1, 7, 12])
@pytest.mark.parametrize("count", [1, 2, 5, 13])
def test_the_union_is_the_list_each_item_once(length, count):
    items = [f"item {i}" for i in range(length)]
    parts = [Shard(i, count).of(items) for i in range(count)]
    assert sorted(pair for part in parts for pair in part) == sorted(enumerate(items))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_positions_are_those_of_the_list():
    assert Shard.parse("1/4").of("abcdefg") == [(1, "b"), (5, "f")]
    assert Shard.parse("0/1") == WHOLE and WHOLE.of("ab") == [(0, "a"), (1, "b")]
    assert str(Shard.parse(" 2/8 ")) == "2/8"


@pytest.mark.parametrize("text", ["", "1", "4/4", "5/4", "-1/4", "0/0", "1/4/2", "a/b"])
def test_what_is_no_shard_is_told(text):
    with pytest.raises(BridgeError, match="I/N"):
        Shard.parse(text)
