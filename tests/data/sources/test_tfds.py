"""Datasets that TFDS's own builders write, without TensorFlow."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
import source_checks
import tensorflow_datasets as tfds
from PIL import Image
from toy_dataset import COUNT, TESTED, Toy, expected

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources
from bridge_jax.data.sources import tfds as reader


def same(found, wanted):
    """Of the same types, too, but for lists of numbers, which are arrays."""
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(
            same(found[name], wanted[name]) for name in wanted
        )
    if isinstance(found, np.ndarray):
        return np.array_equal(found, wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return type(found) is type(wanted) and found == wanted


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    home = tmp_path_factory.mktemp("tfds")
    Toy(data_dir=home, file_format="array_record").download_and_prepare()
    return home


@pytest.fixture
def folder(built):
    return built / "toy" / "1.0.0"


def in_order(path):
    """The builder shuffles: the records by their id."""
    source = sources.open_source(path)
    ids = [source[i][1]["image/id"] for i in range(len(source))]
    assert sorted(ids) == list(range(len(source)))
    return [expected(i) for i in ids]


def test_records_of_a_folder(folder):
    path = f"{folder}[train]"
    wanted = in_order(path)
    assert len(wanted) == COUNT
    source = source_checks.holds(path, wanted, same=same)
    found = source[3][1]
    assert found["image"].dtype == np.uint8 and found["vector"].dtype == np.float32
    assert source[3][0] == f"{path}: record 3"


def test_splits_and_pieces_of_them(folder):
    assert len(sources.open_source(f"{folder}[test]")) == TESTED
    whole = in_order(f"{folder}[train]")
    source_checks.holds(f"{folder}[train[2:6]]", whole[2:6], same=same)
    assert len(sources.open_source(f"{folder}[train+test]")) == COUNT + TESTED


def test_records_of_a_name(built, folder, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(built))
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(built))
    for name in ("tfds:toy[test]", "tfds:toy:1.0.0[test]"):
        wanted = in_order(f"{folder}[test]")
        source_checks.holds(name, wanted, same=same)


def test_what_is_not_there(folder, tmp_path):
    with pytest.raises(BridgeError, match=r"name a split, such as .*\[test\]"):
        sources.open_source(folder)
    with pytest.raises(BridgeError, match="(?i)unknown split.*valid"):
        sources.open_source(f"{folder}[valid]")
    with pytest.raises(BridgeError, match="no_such_set"):
        sources.open_source("tfds:no_such_set_of_mine[train]")


def copied(folder, tmp_path):
    made = tmp_path / "toy" / "1.0.0"
    made.mkdir(parents=True)
    for file in folder.iterdir():
        (made / file.name).write_bytes(file.read_bytes())
    [shard] = made.glob("*train*")
    return made, shard


@pytest.mark.parametrize("size", [0, 100, 65536, -1])
def test_shards_that_are_cut_short(folder, tmp_path, size):
    made, shard = copied(folder, tmp_path)
    shard.write_bytes(shard.read_bytes()[:size])
    with pytest.raises(BridgeError, match=r"cannot be read|holds 0 records of 11"):
        sources.open_source(f"{made}[train]")
    assert len(sources.open_source(f"{made}[test]")) == TESTED
    shard.unlink()
    with pytest.raises(BridgeError, match="no such file"):
        sources.open_source(f"{made}[train]")


def test_flipped_bits_are_told_by_the_record(folder, tmp_path):
    drawn = np.random.default_rng(0)
    whole, told = in_order(f"{folder}[train]"), 0
    for number in range(25):
        made, shard = copied(folder, tmp_path / str(number))
        data = bytearray(shard.read_bytes())
        place = drawn.choice(np.flatnonzero(np.frombuffer(bytes(data), np.uint8)))
        data[place] ^= 1 << drawn.integers(8)
        shard.write_bytes(data)
        try:
            source = sources.open_source(f"{made}[train]")
        except BridgeError:
            told += 1
            continue
        for i in range(COUNT):
            try:
                assert same(source[i][1], whole[i])
            except BridgeError as error:
                assert f"[train]: record {i}" in str(error)
                told += 1
    assert told > 10


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
def test_a_damaged_description(folder, tmp_path, name):
    made, _ = copied(folder, tmp_path)
    for text in ("", "{", "[]", '{"splits": 3}'):
        (made / name).write_text(text)
        with pytest.raises(BridgeError, match="cannot be read|not prepared"):
            sources.open_source(f"{made}[train]")


def test_without_the_package(folder, monkeypatch, tmp_path):
    made, _ = copied(folder, tmp_path)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(BridgeError, match="needs tensorflow_datasets"):
        sources.open_source(f"{made}[train]")


def test_the_recipe_for_ones_own(tmp_path):
    """The docstring's, as a reader would run it."""
    lines = inspect.getdoc(reader).splitlines()
    lines = lines[lines.index("    import csv") :]
    recipe = [line[4:] for line in lines if line[:4].strip() == ""]
    (tmp_path / "my_captions.py").write_text("\n".join(recipe))
    (tmp_path / "captions.csv").write_text("a.png,A cat.\nb.png,Zwei H\u00fcte\n")
    (tmp_path / "pictures").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (6, 4)).save(tmp_path / "pictures" / f"{name}.png")
    done = subprocess.run(
        [sys.executable, "my_captions.py"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    source = sources.open_source(tmp_path / "data" / "my_captions" / "1.0.0")
    records = [source[i][1] for i in range(len(source))]
    assert {one["caption"] for one in records} == {"A cat.", "Zwei H\u00fcte"}
    assert {one["image"].shape for one in records} == {(4, 6, 3)}
