"""Parquet files written by pyarrow."""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import source_checks

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources
from bridge_jax.data.sources import parquet

COUNT = 57


def row(i):
    return {
        "image": {"bytes": bytes([255, i]) * 50, "path": f"{i}.jpg"} if i % 5 else None,
        "images": [{"bytes": None, "path": f"{j}.png"} for j in range(i % 3)],
        "raw": bytes([i]) * i,
        "text": f"Größe {i}" if i % 7 else None,
        "conversations": [{"from": "human", "value": str(j)} for j in range(i % 4)],
        "nested": {"a": {"b": [[i], []]}, "score": i / 4},
        "number": i,
    }


def expected(i):
    made = row(i)
    picture = made["image"]
    return made | {
        "image": picture and picture["bytes"],
        "images": [one["path"] for one in made["images"]],
    }


ROWS = [row(i) for i in range(COUNT)]
RECORDS = [expected(i) for i in range(COUNT)]


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "a.parquet"
    pq.write_table(
        pa.Table.from_pylist(ROWS), made, row_group_size=10, write_page_checksum=True
    )
    return made


def test_rows_are_plain_python(path):
    source_checks.holds(path, RECORDS)


@pytest.mark.parametrize("compression", ["none", "zstd", "gzip"])
def test_other_ways_to_write(tmp_path, compression):
    table = pa.Table.from_pylist(ROWS)
    text = table.schema.get_field_index("text")
    table = table.set_column(text, "text", table["text"].dictionary_encode())
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, compression=compression, data_page_version="2.0")
    source_checks.holds(path, RECORDS)


def test_shards_as_one(tmp_path):
    for i in range(4):
        rows = pa.Table.from_pylist(ROWS[15 * i : 15 * i + 15])
        pq.write_table(rows, tmp_path / f"train-{i:05}-of-00004.parquet")
    source_checks.holds(tmp_path, RECORDS)


def test_row_groups_are_read_when_they_are_asked_for(path, monkeypatch):
    read, table = [], parquet.Source._table
    monkeypatch.setattr(
        parquet.Source, "_table", lambda self, i: read.append(i) or table(self, i)
    )
    source = sources.open_source(path)
    assert not read
    for i in (34, 31, 39, 2):
        source[i]
    assert read == [3, 0]


def test_bad_records_are_told_by_number(tmp_path):
    bad = pa.array([b"a", b"\xff\xfe", b"c"]).view(pa.string())
    pq.write_table(pa.table({"text": bad}), tmp_path / "a.parquet")
    source = sources.open_source(tmp_path / "a.parquet")
    assert [source[i][1] for i in (0, 2)] == [{"text": "a"}, {"text": "c"}]
    with pytest.raises(BridgeError, match=r"a.parquet: record 1: .*utf-8"):
        source[1]


def test_two_columns_of_one_name(tmp_path):
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BridgeError, match="two columns have one name"):
        sources.open_source(tmp_path / "a.parquet")


def test_flipped_bits_are_noticed(path):
    """Everywhere: in pages, in their headers, in the footer."""
    whole, told = path.read_bytes(), 0
    drawn = np.random.default_rng(0)
    for place in drawn.integers(len(whole), size=150):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << drawn.integers(8)
        path.write_bytes(flipped)
        try:
            source = sources.open_source(path)
        except BridgeError:
            told += 1
            continue
        for i in range(0, len(source), 5):
            try:
                # The footer, which has no sum, may lose a name and other words.
                assert source[i][1].get("raw", bytes([i]) * i) == bytes([i]) * i
            except BridgeError as error:
                assert f"{path}: record {i}: " in str(error)
                told += 1
    assert told > 100


def test_files_that_are_cut_short(path):
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 4, 0):
        path.write_bytes(whole[:size])
        with pytest.raises(BridgeError, match=r"a.parquet: cannot be read"):
            sources.open_source(path)


def test_none_at_all(tmp_path):
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "a.parquet")
    with pytest.raises(BridgeError, match="holds no record"):
        sources.open_source(tmp_path / "a.parquet")


def test_without_the_package(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(BridgeError, match=r"needs pyarrow .*bridge_jax\[data\]"):
        sources.open_source(path)
