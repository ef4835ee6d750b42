"""ArrayRecord files written by the package itself."""

import json
import os
import shutil

import msgpack
import numpy as np
import pytest
import source_checks
from array_record.python import array_record_module
from tensorflow_datasets.proto import tf_example_pb2

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources

COUNT = 60
RECORDS = [{"i": i, "text": f"Größe {i}", "list": ["x"] * i} for i in range(COUNT)]


def write(path, records, options="group_size:1"):
    writer = array_record_module.ArrayRecordWriter(str(path), options)
    for one in records:
        writer.write(one if isinstance(one, bytes) else json.dumps(one).encode())
    writer.close()
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "a.array_record", RECORDS)


@pytest.mark.parametrize("options", ["group_size:1", "group_size:7", "uncompressed"])
def test_json_objects(tmp_path, options):
    source_checks.holds(write(tmp_path / "a.array_record", RECORDS, options), RECORDS)


def test_maps_of_messagepack_hold_pictures(tmp_path):
    records = [{"jpg": bytes([255, i]), "n": {"é": [i]}} for i in range(9)]
    records.append({str(i): i for i in range(70000)})
    packed = [msgpack.packb(one) for one in records]
    path = write(tmp_path / "a.arrayrecord", packed)
    source_checks.holds(path, records)


def test_examples_of_tensorflow(tmp_path):
    made = []
    for i in range(5):
        example = tf_example_pb2.Example()
        feature = example.features.feature
        feature["jpg"].bytes_list.value.append(bytes([255, i]) * 30)
        feature["said"].bytes_list.value.extend([b"a", "ü".encode()])
        feature["count"].int64_list.value.append(-i)
        feature["scores"].float_list.value.extend([0.5, i])
        feature["none"].SetInParent()
        made.append(example.SerializeToString())
    records = [
        {
            "jpg": bytes([255, i]) * 30,
            "said": ["a", "ü"],
            "count": -i,
            "scores": [0.5, i],
            "none": [],
        }
        for i in range(5)
    ]
    source_checks.holds(write(tmp_path / "a.array_record", made), records)


def test_shards_as_tfds_names_them(tmp_path):
    for i in range(3):
        name = f"toy-train.array_record-{i:05}-of-00003"
        write(tmp_path / name, RECORDS[20 * i : 20 * i + 20])
    source_checks.holds(tmp_path, RECORDS)
    source_checks.holds(tmp_path / "toy-*-00001-of-*", RECORDS[20:40])
    source_checks.holds(tmp_path / name, RECORDS[40:])


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (b"", "neither"),
        (b"[1]", "neither"),
        (b"plain text", "neither"),
        (b'{"a":', "no JSON"),
        (b'{"a": "\xff"}', "no UTF-8"),
        (b"\n\x7fno example", "cannot be read"),
        (b"\x82\xa1a", "cannot be read"),
        (b"\x81\xa1a\xa1\xff", "cannot be read"),
        (b"\x81\x01\x01", "cannot be read|no texts"),
        (b"\x81\xc3\x01more", "cannot be read"),
    ],
)
def test_records_that_are_none(tmp_path, record, told):
    path = write(tmp_path / "a.array_record", [{"a": 1}, record, {"b": 2}])
    source = sources.open_source(path)
    with pytest.raises(BridgeError, match=rf"a.array_record: record 1: .*({told})"):
        source[1]
    assert [source[i][1] for i in (0, 2)] == [{"a": 1}, {"b": 2}]


def test_a_flipped_bit_hits_its_record_alone_or_the_file(path, tmp_path):
    whole = path.read_bytes()
    used = np.flatnonzero(np.frombuffer(whole, np.uint8))
    drawn = np.random.default_rng(0)
    told = {"open": 0, "record": 0}
    for number, place in enumerate(drawn.choice(used, 120, replace=False)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << drawn.integers(8)
        damaged = tmp_path / f"{number}.array_record"
        damaged.write_bytes(flipped)
        try:
            source = sources.open_source(damaged)
        except BridgeError as error:
            assert str(damaged) in str(error)
            told["open"] += 1
            continue
        assert len(source) == COUNT
        bad = 0
        for i in range(COUNT):
            try:
                assert source[i][1] == RECORDS[i]
            except BridgeError as error:
                assert f"{damaged}: record {i}: " in str(error)
                bad += 1
        assert bad <= 1
        told["record"] += bad
        damaged.unlink()
    assert told["record"] > 50 and told["open"] > 0


def test_files_that_are_cut_short(path):
    whole = path.read_bytes()
    for size in (len(whole) - 1, 65536, 5000, 100, 1, 0):
        path.write_bytes(whole[:size])
        with pytest.raises(BridgeError, match=r"a.array_record:? (cannot|holds)"):
            sources.open_source(path)


def test_a_file_that_was_replaced_is_not_taken_for_the_old(path, tmp_path):
    source = sources.open_source(path)
    assert source[0][1] == RECORDS[0]
    other = write(tmp_path / "b.array_record", RECORDS[::-1])
    os.utime(other, (1, 1))  # in no more than a tick of the clock
    shutil.move(other, path)
    assert sources.open_source(path)[0][1] == RECORDS[-1]
