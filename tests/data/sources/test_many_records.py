"""A hundred thousand records: what is kept of each is a few bytes, whatever it holds.

tracemalloc counts what Python and numpy keep, here of a source that is sent to another
process, since it makes the opening itself slow. ArrayRecord's own index is not in it.
"""

import gc
import json
import shutil
import tracemalloc
from multiprocessing.reduction import ForkingPickler

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from array_record.python import array_record_module

from bridge_jax.data import sources
from bridge_jax.data.sources import places

COUNT = 100_000
CAPTION = "a picture of something or other, that is said in so many words"
FIXED = 60_000  # bytes: names, and what ten sources have once


def sent(source):
    """A copy as another process has it, and how many bytes it holds."""
    data = bytes(ForkingPickler.dumps(source))
    gc.collect()
    tracemalloc.start()
    copy = ForkingPickler.loads(data)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return copy, kept


def record(i):
    return {"i": i, "text": CAPTION}


def of_json_lines(folder):
    path = folder / "a.jsonl"
    path.write_text("\n".join(json.dumps(record(i)) for i in range(COUNT)))
    return path, record


def of_json_array(folder):
    path = folder / "a.json"
    path.write_text(json.dumps([record(i) for i in range(COUNT)]))
    return path, record


def of_text_lines(folder):
    path = folder / "a.txt"
    path.write_text("\n".join(f"{CAPTION} {i}" for i in range(COUNT)))
    return path, lambda i: dict.fromkeys(("text", "prompt"), f"{CAPTION} {i}")


def of_parquet(folder):
    table = pa.table({"i": range(COUNT), "text": [CAPTION] * COUNT})
    pq.write_table(table, folder / "a.parquet", row_group_size=1000)
    return folder / "a.parquet", record


def of_array_record(folder):
    path = folder / "a.array_record"
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    for i in range(COUNT):
        writer.write(json.dumps(record(i)).encode())
    writer.close()
    return path, record


def of_webdataset(folder):
    """Ten tars with the same in them: its writer is slow."""
    path, each = folder / "0.tar", COUNT // 10
    with webdataset.TarWriter(str(path), encoder=False, mtime=1) as out:
        for i in range(each):
            out.write({"__key__": f"{i:08}", "txt": CAPTION.encode()})
    for shard in range(1, 10):
        shutil.copy(path, folder / f"{shard}.tar")
    return folder, lambda i: {"__key__": f"{i % each:08}", "txt": CAPTION}


def of_several(folder):
    for shard in range(10):
        first = shard * COUNT // 10
        rows = (record(i) for i in range(first, first + COUNT // 10))
        text = "\n".join(map(json.dumps, rows))
        (folder / f"{shard}.jsonl").write_text(text)
    return folder, record


def of_karpathy(folder):
    images = [
        {"filename": f"{i}.jpg", "split": "test", "sentences": [{"raw": CAPTION}]}
        for i in range(COUNT)
    ]
    (folder / "a.json").write_text(json.dumps({"images": images}))
    listed = {"captions": [CAPTION], "split": "test", "id": None}
    return folder / "a.json", lambda i: {"image": f"{i}.jpg"} | listed


def of_flickr30k(folder):
    path = folder / "a.token"
    path.write_text("\n".join(f"{i}.jpg#0\t{CAPTION}" for i in range(COUNT)))
    return path, lambda i: {"image": f"{i}.jpg", "captions": [CAPTION]}


# Bytes a record; of the last two what the record says is among them.
@pytest.mark.parametrize(
    ("make", "each"),
    [
        (of_json_lines, 16),
        (of_json_array, 16),
        (of_text_lines, 16),
        (of_several, 16),
        (of_parquet, 0),
        (of_array_record, 0),
        (of_webdataset, 8 + 16 + 18),
        (of_karpathy, 200),
        (of_flickr30k, 130),
    ],
)
def test_bytes_kept(make, each, tmp_path, index_folder):
    (tmp_path / "files").mkdir()
    path, expected = make(tmp_path / "files")
    for again in range(2):  # found, and read from the kept index
        if again and not list(index_folder.iterdir()):
            return
        source, kept = sent(sources.open_source(path))
        assert kept < COUNT * each + FIXED, kept / COUNT
        assert len(source) == COUNT
        for i in (COUNT - 1, 12345, 0):
            assert source[i][1] == expected(i)


def test_bytes_kept_of_a_folder_of_pictures(tmp_path, monkeypatch):
    """As if it held them: to write so many files takes longer than to read them."""
    names = (f"{i:08}.jpg" for i in range(COUNT))
    monkeypatch.setattr(places, "walk", lambda folder: names)
    source, kept = sent(sources.open_source(tmp_path, "image_folder"))
    assert source[12345][1] == {"image": "00012345.jpg"}
    assert kept < COUNT * (12 + 9) + FIXED, kept / COUNT
