"""flax's own file format: there and back, and what is refused."""

import ml_dtypes
import numpy as np
import pytest
from flax import serialization

from bridge_jax.checkpoint import msgpack_file
from bridge_jax.core.errors import BridgeError

TREE = {
    "a": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)},
    "b": np.ones(3, ml_dtypes.bfloat16),
}


def test_there_and_back_keeps_every_bit(tmp_path):
    msgpack_file.save(tmp_path, TREE, {"model": {}})
    back = msgpack_file.load(tmp_path)
    assert back["b"].dtype == ml_dtypes.bfloat16
    assert back["a"]["kernel"].tobytes() == TREE["a"]["kernel"].tobytes()
    assert back["b"].tobytes() == TREE["b"].tobytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "config.json",
        "flax_model.msgpack",
    ]


@pytest.mark.parametrize("size", [0, 1, 10, 40])
def test_damaged_files_are_refused(tmp_path, size):
    msgpack_file.save(tmp_path, TREE, {})
    file = tmp_path / msgpack_file.WEIGHTS
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(BridgeError, match="flax_model.msgpack"):
        msgpack_file.load(tmp_path)


@pytest.mark.parametrize("tree", [{}, {"a": 3}, {"a": "text"}, [1, 2]])
def test_other_contents_are_refused(tmp_path, tree):
    (tmp_path / msgpack_file.WEIGHTS).write_bytes(serialization.msgpack_serialize(tree))
    with pytest.raises(BridgeError, match="no tree of parameters|are no arrays"):
        msgpack_file.load(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(BridgeError, match="cannot read"):
        msgpack_file.load(tmp_path)
