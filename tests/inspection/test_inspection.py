"""What is said of data is true, and what is shown is what a model gets."""

import json

import miniature
import numpy as np
import pytest
from PIL import Image

from bridge_jax.cli import main
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline
from bridge_jax.inspection import findings, guess, histogram, lines, page, pixels, spans

PROCESSOR = miniature.PROCESSOR
BAD = {2: {"messages": 5}, 5: {"image": "none.png", "messages": []}}


def record(number):
    said = {"role": "assistant", "content": "red " * (1 + number)}
    return {
        "messages": [{"role": "user", "content": f"<image>what is {number}?"}, said],
        "images": [f"{number % 3}.png"],
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    for number in range(3):
        shape = (32 + 16 * number, 48, 3)
        Image.fromarray(draw.integers(0, 256, shape, np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    records = [BAD.get(number) or record(number) for number in range(20)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(source, **fields):
    settings = {"source": source, "data": "a.jsonl", "batch": 4, **fields}
    stream, _ = pipeline.opened("main", settings, PROCESSOR)
    return findings.of_stream("main", settings, stream, rows=3, records=1000)


def test_records_are_counted_and_measured(folder):
    one = found("conversations", length=96, num_patches=64)
    assert (one.count, one.looked, one.rows_an_epoch) == (20, 20, 20)
    assert one.counts == {"record": 2} and "a.jsonl:" in one.examples["record"]
    assert one.steps_an_epoch == 5
    sides = one.sizes["width : height"]
    assert len(sides) == 18 and set(np.round(sides, 2)) == {1.5, 1.0, 0.75}
    single = pipeline.load_stream(
        "conversations",
        {"data": "a.jsonl", "length": 96, "num_patches": 64, "most_bad": 1.0},
        PROCESSOR,
    )
    lengths = sorted(
        int((single.tried(n, lambda *of: single.row(*of, single.choices(0)))
             ["vlm"]["segments"] > 0).sum())
        for n in range(20) if n not in BAD
    )  # fmt: skip
    assert sorted(one.sizes["tokens"]) == lengths
    text = lines.told(one)
    assert "of no use       2 (10.0%)" in text and "5.0 steps of 4 rows" in text
    assert f"rows of 96 are {np.mean(lengths) / 96:.0%} full" in text


def test_what_is_there_twice_is_told_apart_from_ids_used_twice(folder):
    records = [record(n) | {"id": "a"} for n in (0, 1, 0, 6)]
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    one = found("conversations", length=96, num_patches=64)
    assert one.counts == {"duplicate": 1} and one.reused == 2
    assert "2 records have one that another has, too" in lines.told(one)


def test_pictures_are_measured_whatever_a_stream_makes_of_them(folder):
    lines = [{"image": f"{n}.png", "caption": "red"} for n in range(3)]
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for source in ("images", "text_to_image", "text_to_image_aspects"):
        one = found(source, image_size=32)
        assert sorted(np.round(one.sizes["width : height"], 2)) == [0.75, 1.0, 1.5]


def test_packed_rows_are_counted_as_they_are(folder):
    one = found("packed_conversations", length=200, num_patches=200)
    stream = pipeline.load_stream(
        "packed_conversations",
        {"data": "a.jsonl", "length": 200, "num_patches": 200, "most_bad": 0.2},
        PROCESSOR,
    )
    assert one.rows_an_epoch == stream.plan.rows.count() < 12
    assert "18 records in" in lines.told(one)


def test_pictures_come_back_from_patches(folder):
    row = found("packed_conversations", length=200, num_patches=200).rows[0]["vlm"]
    names = ("patches", "coordinates", "patch_segments")
    shown = pixels.frames(*(row[name] for name in names), PROCESSOR.config.patch)
    stream = pipeline.load_stream(
        "packed_conversations",
        {"data": "a.jsonl", "length": 200, "num_patches": 200, "most_bad": 1.0},
        PROCESSOR,
    )
    names = [stream.source[n][1]["images"][0] for n in stream.members(0)]
    assert len(shown) == len(names) > 1
    for name, picture in zip(names, shown, strict=True):
        np.testing.assert_array_equal(
            picture, PROCESSOR.layout(np.asarray(Image.open(name)))[0]
        )


def test_spans_are_all_tokens_in_order(folder):
    row = found("packed_conversations", length=200, num_patches=200).rows[0]
    runs = spans.of_row(PROCESSOR.llm, row["vlm"], row["loss_mask"])
    segments = row["vlm"]["segments"]
    assert sum(run.tokens for run in runs) == (segments > 0).sum()
    seen = [run for run in runs if run.kind == "seen"]
    assert [run.segment for run in seen] == list(range(1, segments.max() + 1))
    learnt = [run.text for run in runs if run.kind == "learnt"]
    assert all(text.startswith("red") for text in learnt)
    assert len(learnt) == segments.max()


@pytest.mark.parametrize(
    ("record", "source"),
    [
        ({"conversations": []}, "conversations"),
        ({"messages": []}, "conversations"),
        ({"image": "a", "caption": "b"}, "text_to_image"),
        ({"jpg": "a", "txt": "b"}, "text_to_image"),
        ({"image": "a"}, "images"),
        ({"texts": [], "images": []}, "documents"),
        ({"text": "a"}, "documents"),
        ({"input": "a", "edit": "b", "output": "c"}, "edits"),
    ],
)
def test_a_form_is_known_by_its_fields(tmp_path, record, source):
    (tmp_path / "a.jsonl").write_text("{\n" + json.dumps(record))
    assert guess.stream_of(str(tmp_path / "a.jsonl"))["source"] == source


def test_an_unknown_form_is_told(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"alpha": 1, "beta": 2}')
    with pytest.raises(BridgeError, match="records with alpha, beta are neither"):
        guess.stream_of(str(tmp_path / "a.jsonl"))
    (tmp_path / "b.jsonl").write_text("[1]\n[2]")
    with pytest.raises(BridgeError, match="none of the first .* no JSON object"):
        guess.stream_of(str(tmp_path / "b.jsonl"))


def test_all_of_no_use_is_an_error_that_tells_why(folder):
    (folder / "a.jsonl").write_text(json.dumps(BAD[2]))
    with pytest.raises(BridgeError, match="none of 1 records is of use: 1 record; the"):
        found("conversations")


def test_the_page_shows_what_is_learnt_and_stays_text(folder):
    evil = record(0)
    evil["messages"][1]["content"] = "<script>alert(1)</script><|im_end|>"
    (folder / "a.jsonl").write_text(json.dumps(evil))
    made = page.make([found("conversations", length=160)], PROCESSOR)
    assert "<script>" not in made and "&lt;script&gt;alert(1)" in made
    assert made.count('<span class="learnt">') == 3 and "data:image/png" in made
    assert "picture, 6 tokens" in made


def test_bars_are_of_all_values():
    svg = histogram.chart("x", np.array([1, 1, 2, 5]))
    assert svg.count('class="bar"') == 3 and ">4<" in svg
    assert histogram.chart("x", np.array([3.0])).count('class="bar"') == 1


def test_the_command_takes_files_and_configs(folder, capsys):
    assert main.main(["data", "inspect", "a.jsonl", "-o", "page.html"]) == 0
    out = capsys.readouterr().out
    assert "main: conversations of a.jsonl" in out and "2 (10.0%)" in out
    assert (folder / "page.html").read_text().startswith("<!doctype html>")
    config = ["data", "inspect", "configs/shapes_stage2.py:tiny", "--rows", "1"]
    assert main.main(config) == 0
    out = capsys.readouterr().out
    assert "generate: shapes_generate" in out and "rows are made" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none.jsonl"], "none.jsonl: no such file"),
        (["a.jsonl", "-o", "a.jsonl"], "is there already"),
        (["a.jsonl", "--config.seed=1"], "a.jsonl is no config"),
        (["configs/shapes_stage1.py", "--kind", "json_lines"], "--kind is of a file"),
    ],
)
def test_mistakes_are_told(folder, capsys, words, told):
    before = (folder / "a.jsonl").read_bytes()
    assert main.main(["data", "inspect", *words]) == 2
    assert told in capsys.readouterr().err
    assert (folder / "a.jsonl").read_bytes() == before
