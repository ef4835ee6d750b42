"""Pictures keep about their aspect ratio, and a batch has one size."""

import json

import miniature
import numpy as np
import pytest
from PIL import Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import aspects, pipeline

SHAPES = [(64, 64)] * 6 + [(48, 90)] * 4 + [(100, 50)] * 2
BATCH = 4


def test_sizes_have_one_area_and_all_aspects():
    found = aspects.sizes(512, 64, 2.0)
    assert (512, 512) in found and found == sorted(found, reverse=True)
    for tall, wide in found:
        assert tall % 64 == wide % 64 == 0 and max(tall, wide) <= 2 * min(tall, wide)
        assert abs(tall * wide / 512**2 - 1) < 0.13
    assert {(wide, tall) for tall, wide in found} == set(found)
    assert aspects.sizes(64, 16, 1.0) == [(64, 64)]


def test_the_nearest_is_that_of_least_stretching():
    choices = [(128, 32), (64, 64), (32, 128)]
    assert [aspects.nearest(choices, *s) for s in ((9, 3), (3, 2), (2, 5))] == [0, 1, 2]


def test_the_middle_is_cut_after_scaling():
    image = np.zeros((40, 100, 3), np.uint8)
    image[:, 26:74] = 255
    out, corner = aspects.cut(image, (20, 20))
    assert out.shape == (20, 20, 3) and corner == (0, 15) and out.min() == 255
    same, corner = aspects.cut(image, (40, 100))
    np.testing.assert_array_equal(same, image)
    assert corner == (0, 0)


@pytest.fixture
def folder(tmp_path):
    records = []
    for number, shape in enumerate(SHAPES):
        Image.new("RGB", shape[::-1], (number, 0, 0)).save(tmp_path / f"{number}.png")
        records.append({"image": f"{number}.png", "caption": f"picture {number}"})
    write(tmp_path, records)
    return tmp_path


def write(folder, records):
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, records)))


def settings(folder, **fields):
    given = {"source": "text_to_image_aspects", "data": str(folder / "a.jsonl")}
    return given | {"batch": BATCH, "image_size": 64, "unit": 16, "drop": 0.0, **fields}


def numbers(images):
    return images[:, 0, 0, 0].tolist()


def batches(folder, count, **where):
    table = pipeline.Settings({"main": settings(folder)})
    it = pipeline.batches(table, miniature.PROCESSOR, **where)
    return [next(it)["main"] for _ in range(count)]


def test_a_batch_has_one_size_and_each_its_share(folder):
    found = batches(folder, 12)
    shapes = [batch["images"].shape[1:3] for batch in found]
    # Six of twelve are square, four wide, two tall.
    assert [shapes.count(s) for s in ((64, 64), (48, 80), (80, 48))] == [6, 4, 2]
    for batch in found:
        assert batch["meta"].shape == (BATCH, 6)
        for number, meta in zip(numbers(batch["images"]), batch["meta"], strict=True):
            assert tuple(meta[:2]) == SHAPES[number]
            assert tuple(meta[2:4]) == batch["images"].shape[1:3]
    square = [n for b, s in zip(found, shapes, strict=True) if s == (64, 64)
              for n in numbers(b["images"])]  # fmt: skip
    for start in range(0, 24, 6):  # each once an epoch of its size
        assert sorted(square[start : start + 6]) == list(range(6))


def test_processes_share_the_same_batches(folder):
    whole = batches(folder, 6)
    halves = [batches(folder, 6, process_index=i, process_count=2) for i in range(2)]
    for one, first, second in zip(whole, *halves, strict=True):
        joined = np.concatenate([first["images"], second["images"]])
        np.testing.assert_array_equal(joined, one["images"])


def test_what_would_lose_more_than_half_is_of_no_use(folder, capsys):
    Image.new("RGB", (300, 20)).save(folder / "long.png")
    lines = [{"image": "long.png", "caption": "a line"}]
    lines += [{"image": f"{n}.png", "caption": "x"} for n in range(12)]
    write(folder, lines)
    stream = pipeline.load_stream(
        "main", settings(folder, most_bad=0.1), miniature.PROCESSOR
    )
    assert sum(map(len, stream.members.values())) == 12
    assert "left out (aspect)" in capsys.readouterr().out
    with pytest.raises(BridgeError, match="more than the share of 0.01"):
        pipeline.load_stream("main", settings(folder), miniature.PROCESSOR)(0)


def test_it_must_know_its_batch(folder):
    stream = pipeline.load_stream(
        "main", settings(folder, batch=0), miniature.PROCESSOR
    )
    with pytest.raises(BridgeError, match="needs batch=ROWS"):
        stream(0)
