"""Texts of files, as people have them."""

import json

import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import texts

LLAVA = {
    "id": "1",
    "image": "1.jpg",
    "conversations": [
        {"from": "human", "value": "<image>\nWhat is it?"},
        {"from": "gpt", "value": "A star."},
    ],
}
MESSAGES = {
    "messages": [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]},
        {"role": "assistant", "content": "A ring."},
    ]
}


def test_every_kind_is_read_in_order(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo\r\n")
    (tmp_path / "b.json").write_text(json.dumps([LLAVA, {"caption": "three"}]))
    (tmp_path / "c.jsonl").write_text(
        "\n".join(map(json.dumps, [MESSAGES, {"text": "four"}]))
    )
    files = [tmp_path / name for name in ("a.txt", "b.json", "c.jsonl")]
    assert list(texts.read(files)) == [
        *("one", "two"),
        *("What is it?", "A star.", "three"),
        *("?", "A ring.", "four"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"", "texts are read from .txt, .jsonl, .json"),
        ("a.txt", b"\xff\xfe", "is no UTF-8"),
        ("a.jsonl", b'{"text": "a"}\n{', "a.jsonl, line 2: "),
        ("a.jsonl", b'{"image": "a"}', "a.jsonl, line 1 has no text"),
        ("a.json", b'[{"text": "a"}, {"text"', "is no json array"),
        ("a.json", b'[{"text": "a"}, 3]', "a.json, record 1 has no text"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BridgeError, match=told.replace(".", r"\.")):
        list(texts.read([tmp_path / name]))
    with pytest.raises(BridgeError, match="cannot read"):
        list(texts.read([tmp_path / "absent.txt"]))


def test_a_large_array_is_never_in_memory_whole(tmp_path):
    """The first text is there before the file has an end."""
    path = tmp_path / "large.json"
    path.write_text("[" + ",".join([json.dumps(LLAVA)] * 1000))  # no closing bracket
    found = texts.read([path])
    assert next(found) == "What is it?"
    with pytest.raises(BridgeError, match="no json array"):
        list(found)
