"""The data's position, read by as many processes as wrote it, or by others."""

import json

import pytest

from bridge_jax.checkpoint import position
from bridge_jax.core.errors import BridgeError


def write(folder, *states):
    for index, state in enumerate(states):
        name = f"process_{index}-of-{len(states)}.json"
        (folder / name).write_bytes(state)


def test_own_position_comes_first(tmp_path):
    write(tmp_path, b'{"main": 3}')
    write(tmp_path, b'{"main": 4}', b'{"main": 5}')
    assert position.read(tmp_path) == {"main": 3}


def test_equal_positions_are_anybodys(tmp_path):
    write(tmp_path, *[json.dumps({"main": {"next_index": 7}}).encode()] * 4)
    assert position.read(tmp_path) == {"main": {"next_index": 7}}


def test_bytes_stay_bytes(tmp_path):
    write(tmp_path, b"\xff\x00")
    assert position.read(tmp_path) == b"\xff\x00"


@pytest.mark.parametrize("states", [(), (b"1", b"2", b"1")])
def test_other_positions_are_refused(tmp_path, states):
    write(tmp_path, *states)
    with pytest.raises(BridgeError, match=f"{len(set(states))} different positions"):
        position.read(tmp_path)
