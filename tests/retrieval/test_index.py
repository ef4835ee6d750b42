"""The index finds what is nearest, and opens what is whole."""

import json
import zlib

import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.retrieval import Index


def test_the_index_is_exact(tmp_path):
    draw = np.random.default_rng(0)
    stored = draw.normal(size=(500, 8)).astype(np.float32)
    Index.build(stored, [f"p{i}" for i in range(500)], "m1").save(tmp_path / "i")
    index = Index.open(tmp_path / "i", "m1")
    queries = draw.normal(size=(3, 8)).astype(np.float32)
    ids, scores = index.search(queries, 4)
    full = queries @ stored.T
    for row, found, given in zip(full, ids, scores, strict=True):
        best = np.argsort(-row, kind="stable")[:4]
        assert found == [f"p{i}" for i in best]
        np.testing.assert_allclose(given, row[best], rtol=1e-5)
    assert isinstance(index.embeddings, np.memmap)
    assert index.search(queries, 1000)[1].shape == (3, 500)


def test_blocks_give_what_one_piece_gives(monkeypatch):
    stored = np.eye(7, dtype=np.float32)[[0, 1, 2, 3, 2, 5, 2]]
    index = Index.build(stored, list("abcdefg"))
    queries = np.eye(7, dtype=np.float32)[[2]]
    monkeypatch.setattr("bridge_jax.retrieval.nearest.BYTES", 2 * 7 * 4)
    assert index.search(queries, 3)[0] == [["c", "e", "g"]]


def test_saving_replaces_an_index_and_nothing_else(tmp_path):
    first = Index.build(np.eye(2), ["a", "b"])
    first.save(tmp_path / "i")
    Index.build(np.eye(3), ["a", "b", "c"]).save(tmp_path / "i")
    assert Index.open(tmp_path / "i").ids == ("a", "b", "c")
    assert [path.name for path in tmp_path.iterdir()] == ["i"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BridgeError, match="other files"):
        first.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_index_mistakes_are_one_line(tmp_path):
    index = Index.build(np.eye(4), list("abcd"), "m1")
    index.save(tmp_path / "i")
    with pytest.raises(BridgeError, match="is no index"):
        Index.open(tmp_path / "nowhere")
    with pytest.raises(BridgeError, match="another model"):
        Index.open(tmp_path / "i", "m2")
    with pytest.raises(BridgeError, match=r"queries \[Q, 4\]"):
        index.search(np.eye(3), 1)
    with pytest.raises(BridgeError, match="not finite"):
        index.search(np.full((1, 4), np.nan), 1)
    with pytest.raises(BridgeError, match="2 ids"):
        Index.build(np.eye(3), ["a", "b"])
    with pytest.raises(BridgeError, match="finite"):
        Index.build(np.full((1, 2), np.nan), ["a"])
    with pytest.raises(BridgeError, match="twice: a"):
        Index.build(np.eye(2), ["a", "a"])
    with pytest.raises(BridgeError, match="in memory"):
        index.add(np.eye(4), list("efgh"))


@pytest.mark.parametrize("name", ["embeddings.npy", "rounded.npy", "id_letters.npy"])
def test_damage_is_told(tmp_path, name):
    Index.build(np.eye(4), list("abcd"), "m1").save(tmp_path / "i")
    [path] = (tmp_path / "i").glob(f"*/{name}")
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(BridgeError, match="damaged"):
        Index.open(tmp_path / "i")
    path.write_bytes(whole)
    assert Index.open(tmp_path / "i").ids == tuple("abcd")
    path.unlink()
    with pytest.raises(BridgeError, match="damaged"):
        Index.open(tmp_path / "i")


def test_ids_that_were_changed_are_damage(tmp_path):
    Index.build(np.eye(4), list("abcd"), "m1").save(tmp_path / "i")
    [path] = (tmp_path / "i").glob("*/id_letters.npy")
    path.write_bytes(path.read_bytes()[:-1] + b"e")
    with pytest.raises(BridgeError, match="files disagree"):
        Index.open(tmp_path / "i")


@pytest.mark.parametrize("name", ["../other", "/tmp", "a/b"])
def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path, name):
    Index.build(np.eye(4), list("abcd")).save(tmp_path / "i")
    about = json.loads((tmp_path / "i" / "index.json").read_text())
    about["segments"][0]["name"] = name
    (tmp_path / "i" / "index.json").write_text(json.dumps(about))
    with pytest.raises(BridgeError, match="damaged"):
        Index.open(tmp_path / "i")


def old_index(folder, vectors, ids, model):
    """As it was written before there were segments."""
    folder.mkdir()
    np.save(folder / "embeddings.npy", vectors)
    (folder / "ids.json").write_text(json.dumps(ids, ensure_ascii=False))
    about = {
        "model": model,
        "count": len(ids),
        "width": vectors.shape[1],
        "ids_crc32": zlib.crc32(json.dumps(ids).encode()),
    }
    (folder / "index.json").write_text(json.dumps(about, indent=2) + "\n")


def test_indexes_of_the_older_layout_open_and_grow(tmp_path):
    vectors = np.eye(5, dtype=np.float32)
    old_index(tmp_path / "i", vectors[:4], ["a", "ä", "c", "d"], "m1")
    index = Index.open(tmp_path / "i", "m1")
    assert index.search(vectors[[1]], 1)[0] == [["ä"]]
    index.add(vectors[4:], ["e"])
    assert (tmp_path / "i" / "embeddings.npy").is_file()  # larger: not written again
    index.remove(["c"])
    again = Index.open(tmp_path / "i", "m1")
    assert again.ids == ("a", "ä", "d", "e") and len(again) == 4
    assert again.search(vectors[[2, 4]], 1)[0] == [["a"], ["e"]]
    again.compact()
    assert Index.open(tmp_path / "i").ids == ("a", "ä", "d", "e")
    names = sorted(path.name for path in (tmp_path / "i").iterdir())
    assert names == ["index.json", "segment-000002"]


def test_damage_of_the_older_layout_is_told(tmp_path):
    old_index(tmp_path / "i", np.eye(4, dtype=np.float32), list("abcd"), "m1")
    whole = (tmp_path / "i" / "embeddings.npy").read_bytes()
    (tmp_path / "i" / "embeddings.npy").write_bytes(whole[:-8])
    with pytest.raises(BridgeError, match="damaged"):
        Index.open(tmp_path / "i")
    (tmp_path / "i" / "embeddings.npy").write_bytes(whole)
    (tmp_path / "i" / "ids.json").write_text(json.dumps(list("abce")))
    with pytest.raises(BridgeError, match="damaged"):
        Index.open(tmp_path / "i")
