"""Records on disk: whole or told, whatever happens to the files or the writer."""

import os
import signal
import subprocess
import sys
from concurrent import futures

import ml_dtypes
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.cache import origin, records, shards, store

ARRAYS = {
    "floats": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3),
    "halves": np.arange(4).astype(ml_dtypes.bfloat16),
    "flags": np.array([True, False]),
    "nothing": np.zeros((0, 5), np.int32),
    "one": np.float32(3.5).reshape(()),
    "words": records.letters("größer als ☃"),
}


def name(i):
    return bytes([i % 7]) * 8 + i.to_bytes(8, "big")  # many share their first half


def packed(*numbers, size=100):
    made = {}
    for i in numbers:
        drawn = np.random.default_rng(i).normal(size=size).astype(np.float32)
        made[name(i)] = records.pack(name(i), {"array": drawn})
    return made


def contents(folder, kind="targets"):
    """Name -> bytes of its arrays, of all records."""
    held = store.Kind(folder, kind)
    found = {one: held.get(one)["array"].tobytes() for one in held}
    held.close()
    return found


def test_records_keep_values_types_and_shapes():
    found = records.unpack(b"n", records.pack(b"n", ARRAYS))
    assert list(found) == list(ARRAYS)
    for key, array in ARRAYS.items():
        assert found[key].dtype == array.dtype
        np.testing.assert_array_equal(found[key], array)
    assert records.text(found["words"]) == "größer als ☃"


def test_no_bit_of_a_record_can_change():
    whole = records.pack(b"n", ARRAYS)
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(records.Damaged):
            records.unpack(b"n", bytes(changed))
    for record in (whole[:-1], whole + b"0", b"", whole[:5]):
        with pytest.raises(records.Damaged):
            records.unpack(b"n", record)
    with pytest.raises(records.Damaged):
        records.unpack(b"m", whole)  # another's


def test_records_are_found_by_name(tmp_path):
    writer = shards.Writer(tmp_path)
    writer.add("targets", packed(*range(40)))
    writer.add("targets", packed(*range(60, 80)))
    writer.add("latents", packed(5))
    held = store.Kind(tmp_path, "targets")
    assert len(held) == 60 and set(held) == {*packed(*range(40), *range(60, 80))}
    for i in (0, 7, 39, 60, 79):
        want = np.random.default_rng(i).normal(size=100).astype(np.float32)
        np.testing.assert_array_equal(held.get(name(i))["array"], want)
    assert held.get(name(41)) is None and name(41) not in held
    assert bytes(16) not in store.Kind(tmp_path, "captions")
    assert len(store.Kind(tmp_path, "latents")) == 1


def test_threads_read_what_one_reads(tmp_path):
    shards.Writer(tmp_path).add("targets", packed(*range(64), size=5000))
    held = store.Kind(tmp_path, "targets")
    order = [name(i) for i in np.random.default_rng(0).integers(0, 64, 400).tolist()]
    with futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: held.get(one)["array"].tobytes(), order))
    whole = contents(tmp_path)
    assert found == [whole[one] for one in order]


def test_a_flipped_bit_is_told_or_harmless(tmp_path):
    path = shards.Writer(tmp_path).add("targets", packed(*range(8)))
    before, told = contents(tmp_path), 0
    for file in (path, path.with_suffix(shards.RECORDS)):
        whole = file.read_bytes()
        # Of ArrayRecord's 64 KiB blocks only the first holds these records.
        for at in range(0, min(len(whole), 4200), 41):
            changed = bytearray(whole)
            changed[at] ^= 16
            file.write_bytes(changed)
            try:
                assert contents(tmp_path) == before
            except BridgeError as error:
                told += 1
                assert path.stem in str(error) and "bridge cache build" in str(error)
        file.write_bytes(whole)
    assert told > 80
    assert contents(tmp_path) == before


@pytest.mark.parametrize("suffix", [shards.RECORDS, shards.NAMES])
def test_a_file_cut_short_is_told(tmp_path, suffix):
    path = shards.Writer(tmp_path).add("targets", packed(1, 2)).with_suffix(suffix)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BridgeError, match=path.name):
        store.Kind(tmp_path, "targets")


def test_records_that_changed_places_are_told(tmp_path):
    """Whole, but under another's name."""
    other = packed(2)[name(2)]
    path = shards.Writer(tmp_path).add("targets", {name(1): other})
    with pytest.raises(BridgeError, match="record 0 is damaged"):
        store.Kind(tmp_path, "targets").get(name(1))
    [fault] = store.faults(shards.Shard(path))
    assert "checksum" in fault


_KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import test_cache_store as test
from bridge_jax.data.cache import shards

moment = sys.argv[3]
writer = shards.Writer(Path(sys.argv[1]))
writer.add("targets", test.packed(0, 1))

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "records":
    module = shards.array_record_module
    class Writer:
        def __init__(self, *given):
            self.real, self.left = module.ArrayRecordWriter(*given), 2
        def write(self, record):
            self.left -= 1
            self.real.write(record) if self.left else die()
    shards.array_record_module = type("", (), {"ArrayRecordWriter": Writer})
elif moment == "names":
    shards._names = die
elif moment == "last":
    real = os.replace
    shards.os.replace = lambda a, b: die() if b.suffix == ".names" else real(a, b)
writer.add("targets", test.packed(2, 3))
"""


@pytest.mark.parametrize("moment", ["records", "names", "last"])
def test_a_writer_killed_anywhere_loses_one_shard(tmp_path, moment):
    folder, home = tmp_path / "killed", os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, folder, home, moment], check=False
    )
    assert done.returncode == -signal.SIGKILL
    left = sorted(path.name for path in folder.iterdir())
    assert any("00001" in one for one in left), left  # it was in the middle of it
    assert set(contents(folder)) == set(packed(0, 1))
    writer = shards.Writer(folder)
    assert len(list(folder.iterdir())) == 2
    writer.add("targets", packed(2, 3))
    whole = shards.Writer(tmp_path / "whole")
    whole.add("targets", packed(0, 1))
    whole.add("targets", packed(2, 3))
    names = [
        sorted(path.name for path in one.iterdir())
        for one in (folder, tmp_path / "whole")
    ]
    assert names[0] == names[1]
    assert contents(folder) == contents(tmp_path / "whole")


def test_a_removed_shard_is_no_others_place(tmp_path):
    writer = shards.Writer(tmp_path)
    paths = [writer.add("targets", packed(i)) for i in range(3)]
    for suffix in (shards.RECORDS, shards.NAMES):
        paths[1].with_suffix(suffix).unlink()
    shards.Writer(tmp_path).add("targets", packed(9))
    assert set(contents(tmp_path)) == {name(0), name(2), name(9)}


def test_writers_side_by_side(tmp_path):
    first, second = (shards.Writer(tmp_path, f"{i}of2-") for i in (0, 1))
    unfinished = tmp_path / "targets-0of2-00000.array_record.partial"
    unfinished.touch()
    shards.Writer(tmp_path, "1of2-")
    assert unfinished.exists()
    shards.Writer(tmp_path, "0of2-")
    assert not unfinished.exists()
    first.add("targets", packed(1, 2))
    second.add("targets", packed(2, 3))
    assert set(contents(tmp_path)) == {name(1), name(2), name(3)}


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BridgeError, match="cannot write"):
        shards.Writer(tmp_path / "file")
    writer = shards.Writer(tmp_path / "cache")
    (tmp_path / "cache").rmdir()
    with pytest.raises(BridgeError, match="cannot write .*cache: No such file"):
        writer.add("targets", packed(1))


MADE = origin.Origin(
    weights={"vlm": "a" * 64},
    model={"vlm": {"layers": 2, "dtype": "float32", "vision": {"remat": "none"}}},
    processor={"t5_length": 36, "tokenizers": "", "tiles": ((1, 2),)},
    decoding={"choice": "greedy"},
    versions={"jax": "1"},
)


def changed(**given):
    return origin.Origin(**{**MADE.__dict__, **given})


def test_an_origin_is_kept_and_grows(tmp_path):
    folder = tmp_path / "cache"
    origin.claim(folder, MADE)
    origin.claim(folder, changed(weights={"mt5": "b" * 64}, model={"mt5": {}}))
    found = origin.read(folder)
    assert found.weights == {"vlm": "a" * 64, "mt5": "b" * 64}
    assert set(found.model) == {"vlm", "mt5"}
    assert not found.differences(MADE)
    assert [path.name for path in folder.iterdir()] == [origin.FILE]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"weights": {"vlm": "c" * 64}},
            "vlm has weights aaaaaaaaaaaa .* cccccccccccc",
        ),
        ({"model": {"vlm": {"layers": 3}}}, "vlm.layers is 2 and this one's 3"),
        ({"processor": {"t5_length": 40}}, "processor.t5_length is 36"),
        ({"decoding": {"choice": "drawn"}}, "decoding.choice is 'greedy'"),
    ],
)
def test_another_origin_is_refused(tmp_path, given, told):
    origin.claim(tmp_path / "cache", MADE)
    with pytest.raises(BridgeError, match=told):
        origin.claim(tmp_path / "cache", changed(**given))
    assert origin.read(tmp_path / "cache").weights == MADE.weights


def test_how_is_not_what():
    other = {"layers": 2, "dtype": "bfloat16", "vision": {"remat": "full"}}
    moved = {"t5_length": 36, "tokenizers": "elsewhere", "tiles": [[1, 2]]}
    assert not MADE.differences(changed(model={"vlm": other}, processor=moved))


def test_what_is_no_cache(tmp_path):
    with pytest.raises(BridgeError, match="no cache"):
        store.Store(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BridgeError, match="other things"):
        origin.claim(tmp_path, MADE)
    for text in ("", "[]", '{"version": 1}', '{"version": 7}'):
        (tmp_path / origin.FILE).write_text(text)
        with pytest.raises(BridgeError, match=origin.FILE):
            origin.read(tmp_path)
