"""Several conversations a row: the same losses, and nothing lost or said twice."""

import json

import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest
from PIL import Image

from bridge_jax.core import rng
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline
from bridge_jax.data.records import packed_stream
from bridge_jax.data.sources import kept_index
from bridge_jax.models import view
from bridge_jax.objectives import base

QWEN = miniature.PROCESSOR.llm
COUNT = 24


def record(number):
    """Of one to three turns, with no, one or two pictures."""
    pictures = [f"{number + i}.png" for i in range(number % 3)]
    turns = []
    for turn in range(1 + number % 2 + number % 3):
        mark = "<image>" * len(pictures) if turn == 0 else ""
        turns += [
            {"role": "user", "content": f"{mark}what is {number}?"},
            {"role": "assistant", "content": f"{'red ' * (number % 5)}<{number}>"},
        ]
    return {"messages": turns, "images": pictures}


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    for number in range(COUNT + 2):
        size = (32 + 16 * (number % 3), 48 - 8 * (number % 2))
        picture = draw.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    write(tmp_path, [record(number) for number in range(COUNT)])
    return tmp_path


def write(folder, records):
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, records)))


def stream(folder, source="packed_conversations", **fields):
    given = {"data": str(folder / "a.jsonl"), "length": 160, "num_patches": 160}
    return pipeline.load_stream(source, given | fields, miniature.PROCESSOR)


def said(row):
    """The numbers in what is learnt, by segment."""
    found = {}
    for segment in np.unique(row["vlm"]["segments"]):
        mine = (row["vlm"]["segments"] == segment) & (row["loss_mask"] > 0)
        text = QWEN.decode(row["targets"][mine])
        found[int(segment)] = {int(part.split(">")[0]) for part in text.split("<")[1:]}
    return found


def test_each_conversation_is_in_one_segment_of_an_epoch(folder, capsys):
    packed = stream(folder)
    rows = [packed(i) for i in range(packed.plan.rows.count())]
    assert len(rows) <= COUNT / 2
    numbers = []
    for row in rows:
        segments = said(row)
        assert not segments.pop(0, set())  # padding
        assert all(len(one) == 1 for one in segments.values())
        numbers += [number for one in segments.values() for number in one]
        assert (row["vlm"]["image_index"] >= 0).sum() * 4 == (
            row["vlm"]["patch_segments"] > 0
        ).sum()
    assert sorted(numbers) == list(range(COUNT))
    assert f"{COUNT} records in {len(rows)} rows an epoch" in (capsys.readouterr().out)


def test_the_loss_is_that_of_single_rows(folder):
    packed, single = stream(folder), stream(folder, "conversations")
    numbers = packed.members(0)
    assert len(numbers) > 2
    apart = [alone(single, number) for number in numbers]
    # Single rows are padded as much, since length is the same for both.
    together = loss([packed(0)])
    total = loss(apart)
    assert float(together.weight) == float(total.weight) > 20
    np.testing.assert_allclose(together.value_sum, total.value_sum, rtol=1e-6)


def alone(single, number):
    return single.tried(number, lambda *of: single.row(*of, single.choices(0)))


def loss(rows):
    bundle = miniature.bundle("vlm")
    params = miniature.params(bundle)
    objective = base.load({"sft": {}})["sft"]

    @jax.jit
    def run(params, batch):
        streams = rng.Streams(0, 0)
        return objective(
            view.View(bundle, params, batch, rngs=streams, step=jnp.int32(0))
        )

    return run(params, miniature.collate(rows))


def test_headers_and_pixels_agree_on_sizes(folder):
    packed, single = stream(folder), stream(folder, "conversations")
    for number in range(COUNT):
        tokens, patches = packed.tried(number, packed.measure)
        row = alone(single, number)["vlm"]
        assert tokens == (row["segments"] > 0).sum()
        assert patches == (row["patch_segments"] > 0).sum()


def test_what_is_of_no_use_is_left_out_and_told(folder, capsys):
    records = [record(number) for number in range(COUNT)]
    records[4] = {"messages": "none"}
    records[7]["images"] = ["missing.png"]
    write(folder, records)
    packed = stream(folder, most_bad=0.1)
    rows = [packed(i) for i in range(packed.plan.rows.count())]
    numbers = {n for row in rows for one in said(row).values() for n in one}
    assert numbers == set(range(COUNT)) - {4, 7}
    assert "left out: 2 record" in capsys.readouterr().out
    with pytest.raises(BridgeError, match="2 of .* more than the share of 0.05"):
        stream(folder, most_bad=0.05)(0)


def test_pixels_that_turn_out_damaged_cost_their_segment_alone(folder):
    file = folder / "7.png"
    file.write_bytes(file.read_bytes()[:-60])
    packed = stream(folder)
    rows = [packed(i) for i in range(packed.plan.rows.count())]
    numbers = {n for row in rows for one in said(row).values() for n in one}
    assert {record(n)["images"].count("7.png") for n in numbers} == {0}
    assert len(numbers) == COUNT - 1


def test_a_row_of_nothing_but_damage_weighs_nothing(folder):
    write(folder, [record(7)])
    packed = stream(folder)
    assert packed.members(0) == [0]
    (folder / "7.png").write_bytes((folder / "7.png").read_bytes()[:-60])
    empty = packed(0)
    assert empty["loss_mask"].sum() == 0
    (folder / "7.png").unlink()
    Image.new("RGB", (32, 48)).save(folder / "7.png")
    whole = packed(0)
    shapes = jax.tree.map(lambda a: (a.shape, a.dtype), (empty, whole))
    assert shapes[0] == shapes[1] and whole["loss_mask"].sum() > 0


def test_what_is_said_twice_is_learnt_once(folder, capsys):
    records = [record(number) for number in range(COUNT)]
    write(folder, [*records[:9], records[2], *records[9:], records[2] | {"id": "x"}])
    packed = stream(folder, most_bad=0.1)
    rows = [packed(i) for i in range(packed.plan.rows.count())]
    numbers = [n for row in rows for one in said(row).values() for n in one]
    assert sorted(numbers) == sorted([*range(COUNT), 2])  # one of three is left out
    out = capsys.readouterr().out
    assert "left out (duplicate): " in out and "record 9 is that of record 2" in out


def test_a_picture_that_has_grown_costs_its_segment_alone(folder, capsys):
    packed = stream(folder, num_patches=112, most_bad=1.0)
    count = packed.plan.rows.count()
    for file in folder.glob("*.png"):
        Image.new("RGB", (64, 64)).save(file)
    made = [packed(i)["vlm"] for i in range(count)]
    assert all((row["segments"] > 0).any() for row in made)
    assert {(row["patch_segments"] > 0).sum() for row in made} == {0, 64}
    assert "has grown" in capsys.readouterr().out


def test_sizes_are_kept_from_run_to_run(folder, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(packed_stream, "KEPT", 1)
    monkeypatch.setenv(kept_index.VARIABLE, str(tmp_path / "index"))
    records = [record(number) for number in range(COUNT)]
    records[4] = {"messages": "none"}
    write(folder, records)
    first = stream(folder, most_bad=0.1)
    rows = [first.members(i) for i in range(30)]
    assert "left out (record)" in capsys.readouterr().out
    # What is measured again would raise.
    monkeypatch.setattr(type(first), "measure", lambda *of: 1 / 0)
    again = stream(folder, most_bad=0.1)
    assert [again.members(i) for i in range(30)] == rows
    assert "left out: 1 record" in capsys.readouterr().out
    with pytest.raises(BridgeError, match="1 of 24 records are of no use, more than"):
        stream(folder, most_bad=0.01)(0)
    for other in ({"length": 128}, {"num_patches": 128}, {"fps": 1.0}):
        with pytest.raises(ZeroDivisionError):
            stream(folder, most_bad=0.1, **other)(0)
    write(folder, records[::-1])
    with pytest.raises(ZeroDivisionError):
        stream(folder, most_bad=0.1)(0)
