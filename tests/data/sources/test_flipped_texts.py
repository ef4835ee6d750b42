"""Texts whose bits are flipped, or that are cut: one kind of error, and no other."""

import json

import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources

RECORDS = [{"i": i, "a": {"b": ["x", None, 1.5, "\u00fc"]}} for i in range(8)]
COCO = {
    "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(4)],
    "annotations": [{"image_id": i, "caption": "\u00fc"} for i in range(4)],
}
KARPATHY = {
    "images": [
        {"filename": "a.jpg", "split": "test", "sentences": [{"raw": "a"}]}
        for _ in range(4)
    ]
}
FILES = {
    "a.jsonl": "\n".join(map(json.dumps, RECORDS)),
    "a.json": json.dumps(RECORDS, ensure_ascii=False),
    "a.txt": "one\ntwo \u00fc\nthree",
    "coco.json": json.dumps(COCO, ensure_ascii=False),
    "karpathy.json": json.dumps(KARPATHY),
    "a.token": "\n".join(f"{i}.jpg#0\tcaption {i} \u00fc" for i in range(5)),
    "a.csv": "image_name| comment_number| comment\na.jpg| 0| \u00fc\nb.jpg| 0| b",
    "b.csv": 'image,caption\na.jpg,"a, \u00fc"\nb.jpg,b\n',
    "metadata.csv": 'file_name,text\na.jpg,"a, \u00fc"\nb.jpg,b\n',
    "metadata.jsonl": '{"file_name": "a.jpg", "text": "\u00fc"}\n' * 3,
}
KINDS = {"coco.json": "coco", "karpathy.json": "karpathy"}


@pytest.mark.parametrize("name", FILES)
def test_nothing_else_is_raised(tmp_path, name):
    path, whole = tmp_path / name, FILES[name].encode()
    opened = tmp_path if name.startswith("metadata") else path
    drawn = np.random.default_rng(0)
    told = read = 0
    for number in range(200):
        damaged = bytearray(whole)
        damaged[drawn.integers(len(whole))] ^= 1 << drawn.integers(8)
        if number % 5 == 0:
            del damaged[drawn.integers(len(whole)) :]
        path.write_bytes(damaged)
        try:
            source = sources.open_source(opened, KINDS.get(name, ""))
        except BridgeError as error:
            assert str(tmp_path) in str(error)
            told += 1
            continue
        for i in range(len(source)):
            try:
                source[i]
                read += 1
            except BridgeError as error:
                assert str(path) in str(error)
                told += 1
    assert told and read
