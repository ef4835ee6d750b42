"""The same captioned pictures in every format make the same rows."""

import csv
import io
import json

import fsspec
import miniature
import msgpack
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy_dataset
import webdataset
from array_record.python import array_record_module
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from bridge_jax.data import pipeline

COUNT = 6
SAID = [f"a red {n}" for n in range(COUNT)]


def png(number):
    draw = np.random.default_rng(number)
    file = io.BytesIO()
    Image.fromarray(draw.integers(0, 256, (24, 32, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def pictures(folder):
    folder.mkdir(exist_ok=True)
    for number in range(COUNT):
        (folder / f"{number}.png").write_bytes(png(number))


def json_lines(home):
    pictures(home)
    lines = [{"image": f"{n}.png", "caption": SAID[n]} for n in range(COUNT)]
    (home / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return home / "a.jsonl"


def json_array(home):
    pictures(home / "images")
    lines = [{"image": f"{n}.png", "text": SAID[n]} for n in range(COUNT)]
    (home / "a.json").write_text(json.dumps(lines))
    return home / "a.json"


def image_folder(home):
    pictures(home)
    for number in range(COUNT):
        (home / f"{number}.txt").write_text(SAID[number])
    return home


def hugging_face_folder(home):
    pictures(home)
    with (home / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "text"])
        table.writerows([f"{n}.png", SAID[n]] for n in range(COUNT))
    return home


def karpathy(home):
    pictures(home / "images")
    listed = [
        {"filename": f"{n}.png", "split": "train", "sentences": [{"raw": SAID[n]}]}
        for n in range(COUNT)
    ]
    (home / "dataset_toy.json").write_text(json.dumps({"images": listed}))
    return f"{home / 'dataset_toy.json'}[train]"


def coco(home):
    pictures(home)
    listed = {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(COUNT)],
        "annotations": [{"image_id": n, "caption": SAID[n]} for n in range(COUNT)],
    }
    (home / "captions.json").write_text(json.dumps(listed))
    return home / "captions.json"


def tar(home):
    with webdataset.TarWriter(str(home / "a-000000.tar")) as out:
        for number in range(COUNT):
            out.write({"__key__": str(number), "png": png(number), "txt": SAID[number]})
    return home / "a-000000.tar"


def tars(home):
    with webdataset.ShardWriter(str(home / "a-%06d.tar"), maxcount=4, verbose=0) as out:
        for number in range(COUNT):
            out.write({"__key__": str(number), "png": png(number), "txt": SAID[number]})
    return home / "a-{000000..000001}.tar"


def parquet(home):
    rows = [
        {"image": {"bytes": png(n), "path": None}, "caption": SAID[n]}
        for n in range(COUNT)
    ]
    pq.write_table(pa.Table.from_pylist(rows), home / "a.parquet")
    return home / "a.parquet"


def array_record(home):
    path = str(home / "a.array_record")
    out = array_record_module.ArrayRecordWriter(path, "group_size:1")
    for number in range(COUNT):
        out.write(msgpack.packb({"image": png(number), "caption": SAID[number]}))
    out.close()
    return path


def tfds(home):
    pairs = [(png(n), SAID[n]) for n in range(COUNT)]
    made = toy_dataset.Captioned(pairs=pairs, data_dir=home, file_format="array_record")
    made.download_and_prepare()
    return home / "captioned" / "1.0.0"


def elsewhere(home):
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    Bucket.store.clear()
    files = Bucket()
    for number in range(COUNT):
        files.pipe(f"bucket://b/images/{number}.png", png(number))
    lines = [{"image": f"{n}.png", "caption": SAID[n]} for n in range(COUNT)]
    files.pipe("bucket://b/a.jsonl", "\n".join(map(json.dumps, lines)).encode())
    return "bucket://b/a.jsonl"


class Bucket(MemoryFileSystem):
    """Another machine's."""

    protocol = "bucket"
    store = {}  # noqa: RUF012 - the parent's way
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("bucket://", "memory://", 1))


FORMATS = (
    json_lines,
    json_array,
    image_folder,
    hugging_face_folder,
    karpathy,
    coco,
    tar,
    tars,
    parquet,
    array_record,
    tfds,
    elsewhere,
)


def rows(data):
    stream = pipeline.load_stream(
        "text_to_image",
        {"data": str(data), "image_size": 16, "drop": 0.0},
        miniature.PROCESSOR,
    )
    return [stream(i) for i in range(COUNT)]


@pytest.mark.parametrize("write", FORMATS, ids=[w.__name__ for w in FORMATS])
def test_rows_do_not_depend_on_the_format(tmp_path, write):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    expected = rows(json_lines(tmp_path / "one"))
    for row, other in zip(rows(write(tmp_path / "other")), expected, strict=True):
        np.testing.assert_equal(row, other)
