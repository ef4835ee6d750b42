"""Files of another machine, by a scheme: here an fsspec file system in memory."""

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import source_checks
from fsspec.implementations.memory import MemoryFileSystem

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources
from bridge_jax.data.sources import kept_index, places

RECORDS = [{"i": i, "text": f"ü {i}"} for i in range(20)]


class Bucket(MemoryFileSystem):
    """Another machine's; counts what is fetched of it."""

    protocol = "bucket"
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]
    fetched: ClassVar = []
    broken = False

    def cat_file(self, path, start=None, end=None, **options):
        if self.broken:
            raise RuntimeError("503: try again")
        data = super().cat_file(path, start, end, **options)
        self.fetched.append(len(data))
        return data

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("bucket://", "memory://", 1))

    def unstrip_protocol(self, name):
        return f"bucket://{name.lstrip('/')}"


@pytest.fixture
def bucket(monkeypatch):
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    monkeypatch.setattr(Bucket, "store", {})
    monkeypatch.setattr(Bucket, "fetched", [])
    return Bucket()


def tar(records, pad=0):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as out:
        for one in records:
            files = {"json": json.dumps(one).encode(), "jpg": b"\xff" * pad}
            for extension, data in files.items():
                info = tarfile.TarInfo(f"{one['i']:03}.{extension}")
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
    return made.getvalue()


def samples(records, pad=0):
    return [{"__key__": f"{r['i']:03}", "jpg": b"\xff" * pad, **r} for r in records]


def put(bucket, name, data):
    bucket.pipe_file(f"/{name}", data)
    return f"bucket://{name}"


def table(records):
    made = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), made, row_group_size=6)
    return made.getvalue()


LISTED = {"images": [{"id": 1, "file_name": "a.jpg"}]}
LISTED["annotations"] = [{"image_id": 1, "caption": "A."}]


@pytest.mark.parametrize(
    ("name", "data", "records"),
    [
        ("d/a.jsonl", "\n".join(map(json.dumps, RECORDS)).encode(), RECORDS),
        ("d/a.json", json.dumps(RECORDS).encode(), RECORDS),
        ("d/a.txt", b"one\n\n two", [{"text": x, "prompt": x} for x in ("one", "two")]),
        ("d/a.tar", tar(RECORDS), samples(RECORDS)),
        ("d/a.parquet", table(RECORDS), RECORDS),
        (
            "d/coco.json",
            json.dumps(LISTED).encode(),
            [{"image": "a.jpg", "captions": ["A."], "id": 1}],
        ),
    ],
)
def test_formats(bucket, name, data, records):
    source_checks.holds(put(bucket, name, data), records)


@pytest.mark.parametrize("path", ["d", "d/a-*.tar", "d/a-{0..3}.tar"])
def test_shards(bucket, path):
    for shard in range(4):
        put(bucket, f"d/a-{shard}.tar", tar(RECORDS[5 * shard : 5 * shard + 5]))
    source = source_checks.holds(f"bucket://{path}", samples(RECORDS))
    assert source[19][0].startswith("bucket://d/a-3.tar: record 4")
    with pytest.raises(BridgeError, match="no bucket://d/a-4.tar, bucket://d/a-5.tar"):
        sources.open_source("bucket://d/a-{2..5}.tar")


def test_of_a_tar_only_the_sample_is_fetched(bucket):
    path = put(bucket, "a.tar", tar(RECORDS, 50_000))
    source = sources.open_source(path)
    bucket.fetched.clear()
    assert source[7][1] == samples(RECORDS, 50_000)[7]
    assert len(bucket.fetched) == 1 and bucket.fetched[0] < 52_000


def test_folders_of_pictures(bucket):
    for name, data in (("b/1.jpg", b""), ("b/1.txt", b"One."), ("a.png", b"")):
        put(bucket, f"pictures/{name}", data)
    records = [{"image": "a.png"}, {"image": "b/1.jpg", "caption": "One."}]
    source_checks.holds("bucket://pictures", records)


def test_indexes_are_kept_and_follow_the_file(bucket, monkeypatch, index_folder):
    monkeypatch.setattr(kept_index, "LEAST", 0)
    path = put(bucket, "a.tar", tar(RECORDS))
    source_checks.holds(path, samples(RECORDS))
    assert len(list(index_folder.iterdir())) == 1
    source_checks.holds(path, samples(RECORDS))
    put(bucket, "a.tar", tar(RECORDS[::-1]))
    source_checks.holds(path, samples(RECORDS[::-1]))
    assert len(list(index_folder.iterdir())) == 2


def test_what_a_file_system_raises_is_told(bucket, monkeypatch):
    path = put(bucket, "a.tar", tar(RECORDS))
    source = sources.open_source(path)
    monkeypatch.setattr(Bucket, "broken", True)
    with pytest.raises(BridgeError, match="cannot read bucket://a.tar: .*503"):
        source[0]
    monkeypatch.setattr(Bucket, "broken", False)
    assert source[0][1]["i"] == 0
    with pytest.raises(BridgeError, match="bucket://b.tar: no such file"):
        sources.open_source("bucket://b.tar")


def test_a_tar_that_is_replaced_while_it_is_open(bucket):
    source = sources.open_source(put(bucket, "a.tar", tar(RECORDS)))
    put(bucket, "a.tar", tar(RECORDS[:2]))
    with pytest.raises(BridgeError, match="cut short|no JSON"):
        source[15]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("gs://bucket/a.tar", r"pip install 'bridge_jax\[gcs\]'"),
        ("s3://bucket/a.tar", "pip install s3fs"),
        ("nowhere://bucket/a.tar", "nowhere"),
    ],
)
def test_packages_that_are_missing(path, told, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(BridgeError, match=told):
        sources.open_source(path)


def test_array_record_is_of_this_machine_alone(bucket):
    path = put(bucket, "a.array_record", b"x")
    with pytest.raises(BridgeError, match="from this machine alone: copy it"):
        sources.open_source(path)


def test_a_path_that_lost_a_slash_is_told(bucket):
    path = Path(put(bucket, "a.jsonl", b"{}"))
    with pytest.raises(BridgeError, match=r"bucket:/a.jsonl: .*bucket://a.jsonl"):
        sources.open_source(path)


def test_what_is_elsewhere():
    for path in ("gs://b/a", "s3://b", "memory://x"):
        assert places.is_elsewhere(path)
    for path in ("/a/b", "a:b", "tfds:name", "C:\\a", "a//b"):
        assert not places.is_elsewhere(path)
