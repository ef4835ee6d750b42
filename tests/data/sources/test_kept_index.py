"""Indexes spare a second walk, and are never believed of another file."""

import json

import numpy as np
import pytest

from bridge_jax.data import sources
from bridge_jax.data.sources import json_array, kept_index

RECORDS = [{"i": i, "pad": "x" * 50} for i in range(300)]


@pytest.fixture(autouse=True)
def small_files_too(monkeypatch):
    monkeypatch.setattr(kept_index, "LEAST", 0)


@pytest.fixture
def walks(monkeypatch):
    """Grows by one with each walk through a file."""
    made, found = [], json_array.Source._found
    monkeypatch.setattr(
        json_array.Source, "_found", lambda self: made.append(1) or found(self)
    )
    return made


def write(path, records=RECORDS):
    path.write_text(json.dumps(records))
    return path


def read(path):
    source = sources.open_source(path)
    return [source[i][1] for i in range(len(source))]


def test_the_second_time_nothing_is_walked(tmp_path, walks, index_folder):
    path = write(tmp_path / "a.json")
    assert read(path) == read(path) == RECORDS
    assert len(walks) == 1
    [kept] = index_folder.iterdir()
    assert kept.suffix == ".npz" and kept.stat().st_size < 6000


def test_another_file_of_that_name_is_walked(tmp_path, walks):
    path = write(tmp_path / "a.json")
    read(path)
    assert read(write(path, RECORDS[::-1])) == RECORDS[::-1]
    assert read(write(path, RECORDS[:7])) == RECORDS[:7]
    assert len(walks) == 3


@pytest.mark.parametrize("harm", ["cut", "empty", "flip", "text", "other"])
def test_a_damaged_index_is_made_anew(tmp_path, walks, index_folder, harm):
    path = write(tmp_path / "a.json")
    read(path)
    [kept] = index_folder.iterdir()
    whole = kept.read_bytes()
    made = {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"offsets"}
    if harm == "other":
        np.savez(kept, ends=np.array([RECORDS], object))  # would have to be unpickled
    elif harm == "flip":
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        kept.write_bytes(flipped)
    else:
        kept.write_bytes(made[harm])
    assert read(path) == RECORDS
    assert len(walks) == 2
    assert kept.read_bytes() == whole
    assert read(path) == RECORDS
    assert len(walks) == 2


def test_every_flipped_bit_of_an_index_is_noticed(tmp_path, index_folder):
    path = write(tmp_path / "a.json")
    read(path)
    [kept] = index_folder.iterdir()
    whole = kept.read_bytes()
    for place in range(0, len(whole), 17):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        kept.write_bytes(flipped)
        source = sources.open_source(path)
        assert [source[i][1] for i in (0, 150, 299)] == [
            RECORDS[i] for i in (0, 150, 299)
        ]


def test_without_a_folder_none_is_kept(tmp_path, walks, monkeypatch):
    path = write(tmp_path / "a.json")
    (tmp_path / "file").write_text("")
    for folder in ("", tmp_path / "file" / "below"):
        monkeypatch.setenv(kept_index.VARIABLE, str(folder))
        assert read(path) == read(path) == RECORDS
    assert len(walks) == 4
    assert not list(tmp_path.rglob("*.partial"))


def test_small_files_are_walked(tmp_path, monkeypatch, index_folder):
    monkeypatch.setattr(kept_index, "LEAST", 1 << 20)
    assert read(write(tmp_path / "a.json")) == RECORDS
    assert not list(index_folder.iterdir())
