"""The measurement of conversions measures, on a model small enough for a test."""

import dataclasses

import pytest

from bridge_jax.bench import conversion
from bridge_jax.core.errors import BridgeError


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conversion")
    found = conversion.measure(folder, size="tiny")
    assert not list(folder.iterdir())
    return found


def test_both_ways_are_measured(runs):
    assert [run.name for run in runs] == ["export", "import"]
    for run in runs:
        assert run.files == 1 and run.shard > run.bytes > 1e6
        assert 50e6 < run.peak <= run.allowed and run.holds
    table = conversion.markdown(runs)
    assert table.count("\n") == 3 and "EXCEEDED" not in table


def test_too_much_memory_is_said(runs):
    hungry = dataclasses.replace(runs[0], peak=int(runs[0].allowed) + 1)
    assert "EXCEEDED" in conversion.markdown([hungry])


def test_a_changed_byte_is_found(tmp_path):
    for name in ("one", "other"):
        conversion._make(tmp_path / name, {"size": "tiny"})
    conversion._check_equal(tmp_path / "one", tmp_path / "other")
    file = tmp_path / "other" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(BridgeError, match="1 tensors changed"):
        conversion._check_equal(tmp_path / "one", tmp_path / "other")


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "theirs").mkdir()
    with pytest.raises(BridgeError, match="theirs would be overwritten"):
        conversion.measure(tmp_path, size="tiny")
    assert (tmp_path / "theirs").is_dir()
