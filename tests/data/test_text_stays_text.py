"""No text field of any record makes a control token, or a place for a picture."""

import collections
import json

import miniature
import nasty
import numpy as np
import pytest
from PIL import Image

from bridge_jax.data import pipeline

PROCESSOR = miniature.PROCESSOR
SIDES = {"vlm": PROCESSOR.llm, "t5": PROCESSOR.mt5, "bert": PROCESSOR.bert}
COUNT = 1000  # strings, spread over the fields of all streams
ROOM = {"length": 4096, "num_patches": 64}


def messages(field, text):
    """A conversation with `text` in one of its fields, plain words in the others."""
    said = {"system": "be kind", "user": "what?", "part": "and?", "reply": "red"}
    said[field] = text
    return {
        "messages": [
            {"role": "system", "content": said["system"]},
            {
                "role": "user",
                "content": "<image>" + said["user"].replace("<image>", ""),
            },
            {"role": "assistant", "content": "well"},
            {"role": "user", "content": [{"type": "text", "text": said["part"]}]},
            {"role": "assistant", "content": said["reply"]},
        ],
        "images": ["a.png"],
    }


def captioned(field, text):
    record = {"image": "a.png", "caption": "red", "prompt": "draw red"}
    return record | {field: text}


def edited(field, text):
    record = {"source": "a.png", "target": "a.png", "instruction": "make it red"}
    return record | {"caption": "red"} | {field: text}


def document(field, text):
    if field == "text":
        return {"text": text}
    return {"texts": ["one", None, text], "images": [None, "a.png", None]}


# (stream, its record, the field, fields of the stream)
FIELDS = [
    *(("conversations", messages, field, ROOM) for field in
      ("system", "user", "part", "reply")),
    *(("packed_conversations", messages, field, ROOM) for field in ("user", "reply")),
    *(("documents", document, field, ROOM) for field in ("text", "texts")),
    ("packed_documents", document, "texts", ROOM),
    ("text_to_image", captioned, "caption", {"image_size": 8, "drop": 0.0}),
    *(("generate", captioned, field, {"length": 2048, "image_size": 8}) for field in
      ("caption", "prompt")),
    *(("prompts", captioned, field, {"length": 2048}) for field in
      ("caption", "prompt")),
    ("retrieve", captioned, "caption",
     {"image_length": 64, "text_length": 64, "num_patches": 64}),
    *(("edits", edited, field, {"length": 64, "num_patches": 64, "image_size": 8})
      for field in ("instruction", "caption")),
]  # fmt: skip


def control(row):
    """How often each control id stands in each field of tokens."""
    found = {}
    for name, value in row.items():
        side = next((side for side in SIDES if name.startswith(side)), None)
        tokens = value["tokens"] if isinstance(value, dict) else value
        if side is None or not name.endswith(("tokens", "vlm", "_image", "_text")):
            continue
        tokenizer = SIDES[side]
        ids = set(tokenizer.added.values()) - {tokenizer.unk_id, tokenizer.pad_id}
        found[name] = collections.Counter(
            int(one) for one in np.asarray(tokens).ravel() if int(one) in ids
        )
    return found


@pytest.mark.parametrize(
    ("source", "record", "field", "fields"),
    FIELDS,
    ids=[f"{source}-{field}" for source, _, field, _ in FIELDS],
)
def test_control_tokens_are_those_of_plain_words(
    tmp_path, source, record, field, fields
):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    added = sorted({name for side in SIDES.values() for name in side.added})
    added += ["<image>", "<video>"]
    texts = ["plain", *nasty.texts(added, -(-COUNT // len(FIELDS)))]
    for text in texts:
        file = tmp_path / "a.jsonl"
        file.write_text(json.dumps(record(field, text)))
        given = {"data": str(file), **fields}
        row = pipeline.load_stream(source, given, PROCESSOR)(0)
        counted = control(row)
        assert counted
        if text == "plain":
            expected = counted
        assert counted == expected, text
        for name, value in row.items():
            if name.startswith("vlm") and "image_index" in value:
                pads = value["tokens"] == PROCESSOR.llm.token_id("<|image_pad|>")
                np.testing.assert_array_equal(pads, value["image_index"] >= 0)
                seen = (value["patch_segments"] > 0).sum() // 4
                assert pads.sum() == seen
