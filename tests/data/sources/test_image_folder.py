"""Folders of pictures: captions beside them, and Hugging Face's metadata."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import source_checks
from PIL import Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources

NAMES = ("a.jpg", "b.PNG", "c/a.b.webp", "c/d/é.jpeg")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "pictures"
    for name in (*NAMES, ".hidden.jpg", "c/.thumbs/a.jpg"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(made / name)
    (made / "README.md").write_text("Pictures.")
    return made


def test_captions_beside(folder):
    (folder / "a.txt").write_bytes("\ufeff A cat, ü. \r\n".encode())
    (folder / "b.caption").write_text("One.\n\nTwo.\n")
    (folder / "c/a.b.txt").write_text("Dots.")
    (folder / "c/a.b.caption").write_text("The other is read.")
    records = [
        {"image": "a.jpg", "caption": "A cat, ü."},
        {"image": "b.PNG", "captions": ["One.", "Two."]},
        {"image": "c/a.b.webp", "caption": "Dots."},
        {"image": "c/d/é.jpeg"},
    ]
    source = source_checks.holds(folder, records)
    assert source[2][0] == f"{folder}/c/a.b.webp"


def test_captions_that_are_none(folder, capsys):
    (folder / "a.txt").write_bytes(b"\xff")
    (folder / "b.txt").write_text(" \n")
    (folder / "lost.txt").write_text("No picture.")
    source = sources.open_source(folder)
    for i, told in ((0, "a.txt: is no UTF-8"), (1, "b.PNG: its caption .* nothing")):
        with pytest.raises(BridgeError, match=told):
            source[i]
    assert "1 captions have no picture, one is 'lost'" in capsys.readouterr().out
    (folder / "a.txt").unlink()
    with pytest.raises(BridgeError, match="a.txt: no such file"):
        source[0]


def test_names_of_folders_are_labels_if_there_is_nothing_else(tmp_path):
    for name in ("cat/1.jpg", "cat/far/2.jpg", "dog/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(tmp_path / name)
    names = ("cat/1.jpg", "cat/far/2.jpg", "dog/1.jpg")
    labels = [{"image": n, "label": n[:3]} for n in names]
    source_checks.holds(tmp_path, labels)
    (tmp_path / "dog/1.txt").write_text("A dog.")
    plain = [{"image": n} for n in names]
    plain[2]["caption"] = "A dog."
    source_checks.holds(tmp_path, plain)


ROWS = [
    {"file_name": name, "text": f'Of {name}, "ü"\nand more', "source": str(i)}
    for i, name in enumerate(NAMES[::-1])
]
METADATA = [
    {"image": one["file_name"], "caption": one["text"], "source": one["source"]}
    for one in ROWS
]


def write_metadata(folder, kind, rows):
    path = folder / f"metadata.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(one) for one in rows))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as file:
            out = csv.DictWriter(file, rows[0])
            out.writeheader()
            out.writerows(rows)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_metadata_of_hugging_face(folder, kind):
    (folder / "a.txt").write_text("not looked at")
    write_metadata(folder, kind, ROWS)
    source_checks.holds(folder, METADATA)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_lines_of_metadata_that_are_none(folder, kind):
    rows = [*ROWS, *({"file_name": n, "text": "x"} for n in ("../a.jpg", "/a.jpg", ""))]
    write_metadata(folder, kind, [{"source": ""} | one for one in rows])
    source = sources.open_source(folder)
    assert source[3][1] == METADATA[3]
    for i, told in ((4, "leads out"), (5, "leads out"), (6, "'file_name'")):
        with pytest.raises(BridgeError, match=rf"metadata.{kind}.*{told}"):
            source[i]


def test_captions_keep_their_names(folder):
    rows = [{"file_name": "a.jpg", "captions": ["x", "y"], "text": "t"}]
    write_metadata(folder, "jsonl", rows)
    wanted = {"image": "a.jpg", "captions": ["x", "y"], "text": "t"}
    source_checks.holds(folder, [wanted])


def test_metadata_that_is_none(folder):
    path = folder / "metadata.csv"
    for text, told in (
        ('file_name,text\na.jpg,"x"y\n', "metadata.csv:2: is no CSV"),
        ("file_name,text\na.jpg\n", None),
        ("file_name,text\na.jpg,x,y\n", None),
        ("name,text\na.jpg,x\n", None),
    ):
        path.write_text(text)
        with pytest.raises(BridgeError, match=told or "record 0: (has not|'file_name)"):
            sources.open_source(folder)[0]
    (folder / "metadata.jsonl").write_text("{}")
    with pytest.raises(BridgeError, match=r"metadata.jsonl and metadata.csv"):
        sources.open_source(folder)
    path.unlink()
    (folder / "metadata.jsonl").rename(folder / "c/metadata.jsonl")
    with pytest.raises(BridgeError, match="c/metadata.jsonl; name the folder"):
        sources.open_source(folder)


def test_links_that_go_in_a_circle(folder):
    (folder / "c/again").symlink_to(folder)
    source_checks.holds(folder, [{"image": name} for name in NAMES])
