"""A corpus of which half is of no use: every good record, no crash, and all is told."""

import json
import re

import malformed
import miniature
import numpy as np
import pytest
import webdataset

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline

GOOD, BAD = 540, 546  # thirteen of each kind
LLM = miniature.PROCESSOR.llm


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    home = tmp_path_factory.mktemp("corpus")
    lines = malformed.conversations(home, GOOD, BAD)
    (home / "a.jsonl").write_bytes(b"\n".join(line for line, _ in lines))
    return home, lines


def stream(home, source="conversations", data="a.jsonl", **fields):
    given = {"data": str(home / data), "length": 96, "num_patches": 64}
    given |= {"most_bad": 0.6, **fields}
    return pipeline.load_stream(source, given, miniature.PROCESSOR)


def said(row):
    text = LLM.decode(row["targets"][row["loss_mask"] > 0])
    return [int(number) for number in re.findall(r"good (\d+)", text)]


def test_kinds_are_many_and_each_is_told(corpus):
    home, lines = corpus
    assert len(malformed.kinds()) == 42 and BAD >= 500
    found = stream(home, most_bad=1.0)
    make = lambda *of: found.row(*of, found.choices(0))
    for number, (_, name) in enumerate(lines):
        before = found.rejects.counts.total()
        row = found.tried(number, make)
        if isinstance(name, int):
            assert said(row) == [name]
        else:
            assert row is None and found.rejects.counts.total() == before + 1, name
    assert found.rejects.counts.total() == BAD
    assert set(found.rejects.counts) == {"record", "picture", "length"}
    for told in found.rejects.examples.values():
        assert "a.jsonl:" in told and len(told) < 2000


def test_an_epoch_delivers_every_good_one(corpus):
    home, _ = corpus
    settings = pipeline.Settings(
        {"main": {"source": "conversations", "data": str(home / "a.jsonl"),
                  "length": 96, "num_patches": 64, "most_bad": 0.6, "batch": 6}},
        threads=4,
    )  # fmt: skip
    it = pipeline.batches(settings, miniature.PROCESSOR)
    numbers = set()
    for _ in range((GOOD + BAD) // 6):
        batch = next(it)["main"]
        for row in range(6):
            one = {name: batch[name][row] for name in ("targets", "loss_mask")}
            numbers.update(said(one))
    assert numbers == set(range(GOOD))


def test_packed_every_good_one_comes_once(corpus, capsys):
    home, _ = corpus
    packed = stream(home, "packed_conversations", length=256, num_patches=256)
    rows = [packed(i) for i in range(packed.plan.rows.count())]
    numbers = [number for row in rows for number in said(row)]
    assert sorted(numbers) == list(range(GOOD))
    assert "left out: " in capsys.readouterr().out


def test_training_stops_above_the_share(corpus):
    home, _ = corpus
    with pytest.raises(BridgeError, match=r"\d+ of \d+ records are of no use, more"):
        few = stream(home, most_bad=0.01)
        [few(i) for i in range(GOOD)]
    with pytest.raises(BridgeError, match=f"of {GOOD + BAD} records|more than the sha"):
        stream(home, "packed_conversations", most_bad=0.4)(0)


def test_the_same_pictures_in_a_tar(tmp_path):
    """What is damaged there is of no use there, too."""
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as out:
        for number in range(60):
            out.write({"__key__": f"good_{number}", "png": malformed.png(number),
                       "txt": f"good {number}"})  # fmt: skip
        for kind, make in malformed.PICTURES.items():
            for number in range(3):
                data = make(number)
                files = {} if data is None else {"png": data}
                key = f"{kind.replace(' ', '_')}_{number}"
                out.write({"__key__": key, "txt": "bad", **files})
        for number, text in enumerate((b"", b"  ", b"\xff\xfe", b"x" * malformed.HUGE)):
            out.write({"__key__": f"text_{number}", "png": malformed.png(1),
                       "caption": text})  # fmt: skip
    fields = {"data": str(tmp_path / "a.tar"), "image_size": 16, "drop": 0.0}
    found = pipeline.load_stream(
        "text_to_image", {**fields, "most_bad": 1.0}, miniature.PROCESSOR
    )
    make = lambda *of: found.row(*of, found.choices(0))
    rows = [found.tried(number, make) for number in range(len(found.source))]
    good = [row for row in rows if row is not None]
    texts = {miniature.PROCESSOR.mt5.decode(r["t5_tokens"][r["t5_mask"]]) for r in good}
    assert len(good) == 60 and not any("bad" in text for text in texts)
    assert found.rejects.counts.total() == 3 * len(malformed.PICTURES) + 4


def test_pictures_of_unusual_kinds_are_good(tmp_path):
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)
    picture = Image.fromarray(noise)
    wide = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    kinds = {
        "cmyk.jpg": picture.convert("CMYK"),
        "grey.png": picture.convert("L"),
        "deep.png": wide,
        "palette.png": picture.convert("P"),
        "alpha.png": picture,
        "bits.png": picture.convert("1"),
        "turned.jpg": picture.convert("RGB"),
        "moving.gif": picture.convert("P"),
        "web.webp": picture,
        "tiff.tiff": wide,
    }
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, one in kinds.items():
        options = {"exif": exif} if name == "turned.jpg" else {}
        if name == "moving.gif":
            options = {"save_all": True, "append_images": [picture.convert("P")]}
        one.save(tmp_path / name, **options)
    lines = [{"image": name, "caption": name} for name in kinds]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = pipeline.load_stream(
        "images", {"data": str(tmp_path / "a.jsonl"), "image_size": 16},
        miniature.PROCESSOR,
    )  # fmt: skip
    rows = [found(i)["images"] for i in range(len(kinds))]
    assert all(row.shape == (16, 16, 3) and row.std() > 5 for row in rows)
    assert not found.rejects.counts
