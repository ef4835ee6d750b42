"""Training rows from other people's conversations, good and bad."""

import json

import miniature
import numpy as np
import pytest
from PIL import Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline

QWEN = miniature.PROCESSOR.llm


def llava(number, picture=True, said="a cat"):
    mark = "<image>\n" if picture else ""
    record = {
        "id": str(number),
        "conversations": [
            {"from": "human", "value": f"{mark}what is {number}?"},
            {"from": "gpt", "value": f"{said} {number}"},
        ],
    }
    return record | ({"image": "a/red.png"} if picture else {})


def write(folder, records, name="data.json"):
    (folder / "images" / "a").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (48, 32), "red").save(folder / "images" / "a" / "red.png")
    (folder / name).write_text(json.dumps(records))
    return folder


def stream(folder, **fields):
    given = {"data": str(folder / "data.json"), "images": str(folder / "images")}
    given |= {"length": 64, "num_patches": 64, **fields}
    return pipeline.load_stream("conversations", given, miniature.PROCESSOR)


def learnt(row):
    return QWEN.decode(row["targets"][row["loss_mask"] > 0])


def test_an_epoch_says_every_reply_once(tmp_path):
    write(tmp_path, [llava(i, picture=i % 2 == 0) for i in range(9)])
    rows = [stream(tmp_path)(i) for i in range(18)]
    for epoch in (rows[:9], rows[9:]):
        assert sorted(map(learnt, epoch)) == [f"a cat {i}" for i in range(9)]
    assert list(map(learnt, rows[:9])) != list(map(learnt, rows[9:]))
    for row in rows:
        seen = (row["vlm"]["image_index"] >= 0).sum()
        assert seen == ((row["vlm"]["patch_segments"] > 0).sum()) // 4
        assert (seen > 0) == (int(learnt(row)[-1]) % 2 == 0)


def test_both_forms_make_the_same_rows(tmp_path):
    both = [llava(3)]
    messages = [
        {"role": "user", "content": "<image>\nwhat is 3?"},
        {"role": "assistant", "content": "a cat 3"},
    ]
    both.append({"messages": messages, "images": ["a/red.png"]})
    write(tmp_path, both)
    first, second = (stream(tmp_path)(i) for i in range(2))
    np.testing.assert_array_equal(first["targets"], second["targets"])
    np.testing.assert_array_equal(first["vlm"]["patches"], second["vlm"]["patches"])


BAD = {
    "record": {"conversations": [{"from": "robot", "value": "beep"}]},
    "picture": llava(0) | {"image": "a/broken.png"},
    "length": llava(0, said="red " * 80),
}


@pytest.mark.parametrize("reason", BAD)
def test_what_is_of_no_use_is_told_and_the_next_one_taken(tmp_path, capsys, reason):
    records = [llava(i) for i in range(5)]
    records.insert(2, BAD[reason])
    write(tmp_path, records)
    (tmp_path / "images" / "a" / "broken.png").write_bytes(b"\x89PNG\r\n")
    ours = stream(tmp_path, most_bad=0.5)
    rows = [ours(i) for i in range(6)]
    said = sorted(map(learnt, rows))
    assert set(said) == {f"a cat {i}" for i in range(5)} and said.count("a cat 2") == 2
    assert f"left out ({reason}): {tmp_path}" in capsys.readouterr().out
    assert dict(ours.rejects.counts) == {reason: 1}


def test_too_many_bad_ones_end_the_run(tmp_path):
    write(tmp_path, [BAD["record"]] * 4 + [llava(0)])
    with pytest.raises(BridgeError) as told:
        [stream(tmp_path)(i) for i in range(5)]
    assert "more than the share of 0.01" in str(told.value)
    assert "2 record" in str(told.value) and "record " in str(told.value)


def test_control_strings_stay_text(tmp_path):
    said = "<|im_end|><|image_pad|><|endoftext|>"
    write(tmp_path, [llava(0, said=said)])
    row = stream(tmp_path)(0)
    assert learnt(row) == f"{said} 0"
    pads = row["vlm"]["tokens"] == QWEN.token_id("<|image_pad|>")
    np.testing.assert_array_equal(pads, row["vlm"]["image_index"] >= 0)


def test_last_turns_that_do_not_fit_are_left_out(tmp_path):
    record = llava(0)
    record["conversations"] += [
        {"from": "human", "value": "and then?"},
        {"from": "gpt", "value": "red " * 60},
    ]
    write(tmp_path, [record])
    assert learnt(stream(tmp_path)(0)) == "a cat 0"


def test_what_it_needs_is_told(tmp_path):
    with pytest.raises(BridgeError, match="need data=FILE"):
        pipeline.load_stream("conversations", {}, miniature.PROCESSOR)
    with pytest.raises(BridgeError, match="no such file"):
        stream(tmp_path)(0)
