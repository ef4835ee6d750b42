"""From files of all kinds to an index, however often it is interrupted."""

import io
import json
import tarfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import toy_embedder
from PIL import Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.retrieval import Index, filling
from bridge_jax.retrieval.records import Records


def png(color):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(file, "PNG")
    return file.getvalue()


def photos(folder, count):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        (folder / f"{i:03d}.png").write_bytes(png((i * 7 % 256, 40, i)))
    return folder


def tar(path, names):
    with tarfile.open(path, "w") as file:
        for i, name in enumerate(names):
            for end, data in (
                (".png", png((0, i, 90))),
                (".txt", f"a {name}".encode()),
            ):
                member = tarfile.TarInfo(name + end)
                member.size = len(data)
                file.addfile(member, io.BytesIO(data))
    return path


def fill(paths, out, model=None, what="pictures", columns="", images="", **rest):
    records = Records([str(path) for path in paths], what, columns, images)
    return filling.fill(model or toy_embedder.Embedder(), records, out, **rest)


def saved(out):
    """Every byte that counts."""
    index = Index.open(out, "toy")
    return index.ids, index.embeddings.tobytes()


def test_folders_files_and_data_sets_make_one_index(tmp_path):
    folder = photos(tmp_path / "photos", 3)
    table = pyarrow.table(
        {"photo": [{"bytes": png("red"), "path": "r"}], "alt": ["a table"]}
    )
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    (tmp_path / "c.jsonl").write_text(
        json.dumps({"image": "photos/001.png", "captions": ["one", "two", "one"]})
        + "\n"
    )
    shard = tar(tmp_path / "s.tar", ["x", "y"])
    paths = [folder, folder / "001.png", shard, tmp_path / "c.jsonl"]
    done = fill(paths, tmp_path / "i")
    assert (done.pictures, done.texts, done.total) == (6, 0, 6)
    ids = Index.open(tmp_path / "i").ids
    assert ids[:3] == tuple(str(folder / f"00{i}.png") for i in range(3))
    assert ids[3].startswith(f"{shard}: record 0 (x)") and "c.jsonl" in ids[5]
    done = fill(
        [tmp_path / "t.parquet"],
        tmp_path / "j",
        what="both",
        columns="image=photo,caption=alt",
    )
    assert (done.pictures, done.texts) == (1, 1)
    assert Index.open(tmp_path / "j").ids[1].endswith(": a table")
    done = fill([shard, tmp_path / "c.jsonl"], tmp_path / "k", what="texts")
    assert (done.pictures, done.texts) == (0, 4)
    index = Index.open(tmp_path / "k")
    query = toy_embedder.Embedder().embed(texts=["two"])
    assert index.search(query, 1)[0][0][0].endswith(": two")


def test_captions_beside_pictures_are_texts(tmp_path):
    folder = photos(tmp_path / "photos", 2)
    for i in range(2):
        (folder / f"00{i}.txt").write_text(f"number {i}\n")
    done = fill([folder], tmp_path / "i", what="both")
    assert (done.pictures, done.texts) == (2, 2)
    ids = Index.open(tmp_path / "i").ids
    assert ids[0] == str(folder / "000.png")  # the same as without texts
    assert str(folder / "001.png") + ": number 1" in ids
    with pytest.raises(BridgeError, match="name its folder"):
        fill([folder / "000.png"], tmp_path / "j", what="texts")


def test_a_run_that_was_killed_is_gone_on_with_to_the_same_bits(tmp_path, capsys):
    folder = photos(tmp_path / "photos", 23)
    fill([folder], tmp_path / "whole", batch=4)
    out = tmp_path / "i"
    made = 0
    for left in (3, 0, 2):
        model = toy_embedder.Embedder(left=left)
        with pytest.raises(toy_embedder.Killed):
            fill([folder], out, model, batch=4)
        made += model.seen
        assert not out.exists() and (tmp_path / "i.unfinished").is_dir()
    # Half a batch that was written before its journal was counts for nothing.
    for name in ("rows.f32", "ids.jsonl"):
        with (tmp_path / "i.unfinished" / name).open("ab") as file:
            file.write(b"torn")
    last = toy_embedder.Embedder()
    done = fill([folder], out, last, batch=4)
    assert made == 20 and last.seen == 3 and done.total == 23
    assert "going on after 20 of 23 records" in capsys.readouterr().out
    assert saved(out) == saved(tmp_path / "whole")
    assert not (tmp_path / "i.unfinished").exists()


@pytest.mark.parametrize("change", ["batch", "model", "picture", "another"])
def test_other_work_is_begun_anew(tmp_path, change):
    folder, out = photos(tmp_path / "photos", 6), tmp_path / "i"
    with pytest.raises(toy_embedder.Killed):
        fill([folder], out, toy_embedder.Embedder(left=1), batch=2)
    model = toy_embedder.Embedder("other" if change == "model" else "toy")
    if change == "picture":
        (folder / "000.png").write_bytes(png("white") + b" ")
    if change == "another":
        (folder / "009.png").write_bytes(png("white"))
    fill([folder], out, model, batch=3 if change == "batch" else 2)
    assert model.seen == len(list(folder.iterdir()))


def test_a_damaged_journal_is_begun_anew(tmp_path):
    folder, out = photos(tmp_path / "photos", 6), tmp_path / "i"
    with pytest.raises(toy_embedder.Killed):
        fill([folder], out, toy_embedder.Embedder(left=2), batch=2)
    rows = tmp_path / "i.unfinished" / "rows.f32"
    rows.write_bytes(rows.read_bytes()[:-1])
    assert fill([folder], out, batch=2).pictures == 6


def test_what_is_new_is_added_and_nothing_twice(tmp_path):
    folder, out = photos(tmp_path / "photos", 5), tmp_path / "i"
    fill([folder], out, add=True)
    photos(folder, 8)
    model = toy_embedder.Embedder(left=1)
    with pytest.raises(toy_embedder.Killed):
        fill([folder], out, model, batch=6, add=True)
    assert len(Index.open(out)) == 5  # whole meanwhile
    done = fill([folder], out, toy_embedder.Embedder(), batch=6, add=True)
    assert (done.pictures, done.there, done.total) == (3, 5, 8)
    assert Index.open(out).ids == tuple(str(folder / f"00{i}.png") for i in range(8))
    idle = toy_embedder.Embedder()
    done = fill([folder], out, idle, add=True)
    assert (done.pictures, done.there, done.total, idle.seen) == (0, 8, 8, 0)
    with pytest.raises(BridgeError, match="another model"):
        fill([folder], out, toy_embedder.Embedder("other"), add=True)


def test_what_cannot_be_read_is_named_at_once_or_passed_over(tmp_path, capsys):
    folder = photos(tmp_path / "photos", 5)
    (folder / "001.png").write_bytes(b"no picture")
    (folder / "003.png").write_bytes(b"")
    model = toy_embedder.Embedder()
    with pytest.raises(BridgeError, match="001.png.*003.png.*--skip-unreadable"):
        fill([folder], tmp_path / "i", model)
    assert model.seen == 0 and sorted(p.name for p in tmp_path.iterdir()) == ["photos"]
    done = fill([folder], tmp_path / "i", batch=2, skip=True)
    assert (done.pictures, done.unreadable) == (3, 2)
    assert capsys.readouterr().out.count("skipped") == 2
    assert np.isfinite(Index.open(tmp_path / "i").embeddings).all()


def test_texts_that_do_not_fit_are_passed_over_alone(tmp_path, capsys):
    lines = ["short", "x" * 50, "also short"]
    (tmp_path / "t.txt").write_text("\n".join(lines) + "\n")
    with pytest.raises(BridgeError, match=r"50 letters .*or pass --skip-unreadable"):
        fill([tmp_path / "t.txt"], tmp_path / "i", what="texts")
    done = fill([tmp_path / "t.txt"], tmp_path / "i", what="texts", skip=True)
    assert (done.texts, done.unreadable) == (2, 1)
    assert "a text has 50 letters" in capsys.readouterr().out


def test_places_that_hold_nothing_are_told_together(tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "x.tar").write_bytes(b"")
    paths = [tmp_path / "a.png", tmp_path / "none", tmp_path / "b.png"]
    with pytest.raises(BridgeError, match=r"a\.png, .*b\.png; no picture"):
        Records([str(path) for path in paths])
    with pytest.raises(BridgeError, match=r"there is no .*s-\*\.tar"):
        Records([str(tmp_path / "s-*.tar")])
    with pytest.raises(BridgeError, match="columns"):
        Records([str(photos(tmp_path / "p", 1))], columns="image")
