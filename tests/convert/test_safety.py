"""Files from strangers: a typed error, at once, and nothing read, run or written."""

import json
import random
import struct
import time

import numpy as np
import pytest
import safetensors
from safetensors.numpy import save_file

from bridge_jax.convert import tensors
from bridge_jax.core.errors import BridgeError

ARRAYS = {
    "a.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b.bias": np.ones(5, np.float32),
    "c": np.zeros((2, 2), np.float16),
}


@pytest.fixture
def whole(tmp_path):
    """The bytes of a good file."""
    save_file(ARRAYS, tmp_path / "good.safetensors", metadata={"format": "pt"})
    return (tmp_path / "good.safetensors").read_bytes()


def split(data):
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def joined(header, body):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def refused(folder, data):
    """Opening and reading everything: a BridgeError, or the very same arrays."""
    path = folder / "model.safetensors"
    path.write_bytes(data)
    began = time.perf_counter()
    try:
        found = tensors.open_folder(folder)
        arrays = {name: found[name] for name in found}
    except (BridgeError, safetensors.SafetensorError):
        return True
    finally:
        assert time.perf_counter() - began < 5
    total = sum(array.nbytes for array in arrays.values())
    assert total <= len(data)  # whatever it says, it is in the file
    return False


CHANGES = {
    "no such type": lambda e, b: e["a.weight"].update(dtype="F33"),
    "type as number": lambda e, b: e["a.weight"].update(dtype=3),
    "negative shape": lambda e, b: e["a.weight"].update(shape=[-3, 4]),
    "huge shape": lambda e, b: e["a.weight"].update(shape=[2**62, 4]),
    "overflowing shape": lambda e, b: e["a.weight"].update(shape=[2**32, 2**32]),
    "fraction": lambda e, b: e["a.weight"].update(shape=[1.5, 8]),
    "shape as text": lambda e, b: e["a.weight"].update(shape="3x4"),
    "no shape": lambda e, b: e["a.weight"].pop("shape"),
    "no offsets": lambda e, b: e["a.weight"].pop("data_offsets"),
    "one offset": lambda e, b: e["a.weight"].update(data_offsets=[0]),
    "backwards": lambda e, b: e["a.weight"].update(data_offsets=[48, 0]),
    "beyond the end": lambda e, b: e["a.weight"].update(data_offsets=[0, 4800]),
    "negative offset": lambda e, b: e["a.weight"].update(data_offsets=[-8, 40]),
    "overlap": lambda e, b: e["a.weight"].update(
        data_offsets=e["b.bias"]["data_offsets"]
    ),
    "too short for its shape": lambda e, b: e["a.weight"].update(shape=[3, 5]),
    "metadata of numbers": lambda e, b: e.update(__metadata__={"a": 1}),
    "entry as list": lambda e, b: e.update(b=[1]),
    "entry as null": lambda e, b: e.update(b=None),
    "hole": lambda e, b: e.pop("b.bias"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_wrong_headers_are_refused(tmp_path, whole, change):
    header, body = split(whole)
    CHANGES[change](header, body)
    assert refused(tmp_path, joined(header, body))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        b"\xff" * 8,
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 101 << 20) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        struct.pack("<Q", 120_000) + b'{"a":' * 24_000,
        struct.pack("<Q", 3) + b"\xff\xfe\xfd",
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_wrong_beginnings_are_refused(tmp_path, data):
    assert refused(tmp_path, data)


@pytest.mark.parametrize("seed", range(250))
def test_random_damage_never_gets_through(tmp_path, whole, seed):
    """Bytes changed, cut, doubled or added, most of them in the header."""
    rng = random.Random(seed)
    data = bytearray(whole)
    length = struct.unpack("<Q", whole[:8])[0]
    for _ in range(rng.randint(1, 4)):
        where = rng.randrange(8 + length if rng.random() < 0.9 else len(data))
        kind = rng.randrange(4)
        where = min(where, len(data) - 1)
        if kind == 0:
            data[where] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[where : where + rng.randint(1, 9)]
        elif kind == 2:
            data[where:where] = bytes(rng.randrange(256) for _ in range(3))
        else:
            data[where:where] = data[where : where + 5]
    refused(tmp_path, bytes(data))  # asserts time and memory


def sharded(folder, weight_map, files=("model-00001-of-00001.safetensors",)):
    for name in files:
        save_file(ARRAYS, folder / name)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


GOOD = dict.fromkeys(ARRAYS, "model-00001-of-00001.safetensors")


def test_a_good_index_is_read(tmp_path):
    sharded(tmp_path, GOOD)
    assert set(tensors.open_folder(tmp_path)) == set(ARRAYS)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("../outside.safetensors", "no file name of a shard"),
        ("/etc/passwd", "no file name of a shard"),
        ("sub/x.safetensors", "no file name of a shard"),
        ("model.bin", "no file name of a shard"),
        ("x\0.safetensors", "no file name of a shard"),
        ("model-00002-of-00002.safetensors", "is missing"),
        (7, "must name files"),
        (None, "must name files"),
    ],
)
def test_an_index_may_not_point_elsewhere(tmp_path, name, wanted):
    home = tmp_path / "model"
    home.mkdir()
    save_file(ARRAYS, tmp_path / "outside.safetensors")
    sharded(home, {**GOOD, "c": name})
    with pytest.raises(BridgeError, match=wanted):
        tensors.open_folder(home)


def test_links_may_not_lead_out(tmp_path):
    home = tmp_path / "model"
    home.mkdir()
    save_file(ARRAYS, tmp_path / "secret.safetensors")
    (home / "model.safetensors").symlink_to(tmp_path / "secret.safetensors")
    with pytest.raises(BridgeError, match="links out of its folder"):
        tensors.open_folder(home)


def test_a_hugging_face_cache_is_read(tmp_path):
    """Its snapshots link to blobs beside them."""
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    save_file(ARRAYS, blobs / "ff")
    (snapshot / "model.safetensors").symlink_to("../../blobs/ff")
    assert set(tensors.open_folder(snapshot)) == set(ARRAYS)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda told: told.pop("c"), "c is in no index"),
        (lambda told: told.update(d=GOOD["c"]), "d is not in model-00001"),
    ],
)
def test_index_and_files_must_agree(tmp_path, change, wanted):
    told = dict(GOOD)
    change(told)
    sharded(tmp_path, told)
    with pytest.raises(BridgeError, match=wanted):
        tensors.open_folder(tmp_path)


def test_a_tensor_in_two_files_is_refused(tmp_path):
    names = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    told = dict.fromkeys(ARRAYS, names[0]) | {"c": names[1]}
    sharded(tmp_path, told, names)
    with pytest.raises(BridgeError, match="is in model-00001-of-00002"):
        tensors.open_folder(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"weight_map": []}', "[" * 100_000])
def test_damaged_indices_are_refused(tmp_path, text):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(BridgeError, match="index.json"):
        tensors.open_folder(tmp_path)


def test_a_folder_without_weights_says_what_is_there(tmp_path):
    with pytest.raises(BridgeError, match="does not exist"):
        tensors.open_folder(tmp_path / "none")
    save_file(ARRAYS, tmp_path / "other.safetensors")
    with pytest.raises(BridgeError, match=r"neither .* but other.safetensors"):
        tensors.open_folder(tmp_path)
