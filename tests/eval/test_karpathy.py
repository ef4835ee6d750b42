"""Retrieval on Karpathy's splits: ranks by hand, ties, shards, files as published."""

import json

import benchmark_files as files
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.eval import options
from bridge_jax.eval.benchmarks import karpathy
from bridge_jax.eval.outside import ranks
from bridge_jax.eval.outside.shards import Shard

OPTIONS = options.Options(batch=4)
COUNT = 13


class Seer:
    """Embeds picture i and captions of "iN" near axis N; counts what it is asked."""

    def __init__(self, astray=()):
        self.astray, self.asked = set(astray), []

    def embed(self, images=None, texts=None):
        self.asked.append(len(images or texts))
        if images is not None:
            names = [f"i{image[0, 0, 0]}" for image in images]
        else:
            names = [text.split()[1] for text in texts]
            assert all(
                text == text.lower() and len(text.split()) <= 50 for text in texts
            )
            told = zip(texts, names, strict=True)
            names = ["i50" if text in self.astray else name for text, name in told]
        rows = np.eye(64, dtype=np.float32)[[int(name[1:]) for name in names]]
        # Not alike, so that there is an order: each text leans a little its own way.
        lean = [sum(map(ord, text)) % 89 for text in texts or names]
        rows = rows + np.outer(lean, np.ones(64, np.float32)) * 1e-4
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def data(tmp_path):
    """Test pictures 0 to 12 of five captions (0 has six, 12 has one), and others."""
    images = []
    for i in range(COUNT):
        files.picture(tmp_path / f"images/val2014/{i}.png", i)
        count = {0: 6, 12: 1}.get(i, 5)
        raws = [f"Picture  I{i} says\n{j}, and {'more ' * 60}" for j in range(count)]
        images.append(
            {
                "filename": f"{i}.png",
                "filepath": "val2014",
                "split": "test",
                "sentences": [{"raw": raw, "tokens": []} for raw in raws],
            }
        )
    images.insert(3, {"filename": "gone.png", "split": "train", "sentences": []})
    path = tmp_path / "dataset_coco.json"
    path.write_text(json.dumps({"images": images, "dataset": "coco"}))
    return path


def test_captions_are_cleaned():
    assert karpathy.clean("  Two Dogs\n run. ") == "two dogs run."
    assert karpathy.clean("A " * 60).split() == ["a"] * 50


def test_a_seer_finds_all(data, tmp_path):
    bench, model = karpathy.Benchmark(data), Seer()
    assert [len(item.captions) for item in bench.items] == [5] * 12 + [1]
    bench.answer(model, tmp_path / "out", OPTIONS)
    assert sum(model.asked) == 16 + 64  # 13 pictures and 61 captions, with filling
    figures = bench.score(tmp_path / "out")
    names = {f"{t}_r{k}" for t in ("i2t", "t2i", "t2t") for k in (1, 5, 10)}
    assert figures == dict.fromkeys(names, 1.0)


def test_captions_gone_astray(data, tmp_path):
    """One of picture 1's, two of 2's and all of 12's say what is in no picture."""
    items = karpathy.Benchmark(data).items
    lost = [items[1].captions[0], *items[2].captions[:2], items[12].captions[0]]
    bench = karpathy.Benchmark(data)
    bench.answer(Seer(lost), tmp_path / "out", OPTIONS)
    figures = bench.score(tmp_path / "out")
    assert figures["i2t_r1"] == pytest.approx(12 / 13)
    assert figures["t2i_r1"] <= 1 - 3 / 61
    # Picture 12's has no sister; the lost ones of 2 are near three strangers at most.
    assert figures["t2t_r1"] < 1.0 and figures["t2t_r5"] >= 1 - 1 / 60


def test_shards_give_what_one_process_gives(data, tmp_path):
    bench = karpathy.Benchmark(data)
    for index in (2, 0, 1):
        bench.answer(Seer(), tmp_path / "three", OPTIONS, Shard(index, 3))
    bench.answer(Seer(), tmp_path / "one", OPTIONS)
    assert bench.score(tmp_path / "three") == bench.score(tmp_path / "one")
    shard = np.load(tmp_path / "three" / "embeddings_1_of_3.npz", allow_pickle=False)
    assert shard["positions"].tolist() == [1, 4, 7, 10]
    assert shard["images"].shape == (4, 64) and shard["captions"].shape == (20, 64)
    assert shard["owners"].tolist() == np.repeat([1, 4, 7, 10], 5).tolist()
    (tmp_path / "three" / "embeddings_1_of_3.npz").unlink()
    with pytest.raises(BridgeError, match=r"no answer to 4 \(1, 4, 7, 10\).*shard 1/3"):
        bench.score(tmp_path / "three")
    bench.answer(Seer(), tmp_path / "one", OPTIONS, Shard(0, 13))
    with pytest.raises(BridgeError, match=r"more than one answer to 1 \(0\)"):
        bench.score(tmp_path / "one")


def test_an_interrupted_shard_goes_on(data, tmp_path, monkeypatch):
    monkeypatch.setattr("bridge_jax.eval.outside.embedding_files.BLOCK", 5)
    bench, out = karpathy.Benchmark(data), tmp_path / "out"

    class Stops(Seer):
        def embed(self, images=None, texts=None):
            if len(self.asked) > 10:
                raise KeyboardInterrupt
            return super().embed(images, texts)

    with pytest.raises(KeyboardInterrupt):
        bench.answer(Stops(), out, OPTIONS)
    path = out / "embeddings_0_of_1.npz"
    assert len(np.load(path, allow_pickle=False)["positions"]) == 5
    model = Seer()
    bench.answer(model, out, OPTIONS)
    assert not list(out.glob("*.partial"))
    assert set(bench.score(out).values()) == {1.0}
    again = Seer()
    bench.answer(again, out, OPTIONS)
    assert model.asked and not again.asked
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BridgeError, match="is damaged"):
        bench.score(out)


def test_embeddings_of_other_captions_do_not_count(data, tmp_path):
    bench, out = karpathy.Benchmark(data), tmp_path / "out"
    bench.answer(Seer(), out, OPTIONS)
    document = json.loads(data.read_text())
    document["images"][5]["sentences"][0]["raw"] = "Other"
    data.write_text(json.dumps(document))
    with pytest.raises(BridgeError, match="holds another item 4"):
        karpathy.Benchmark(data).score(out)
    with pytest.raises(BridgeError, match="takes no --scorer"):
        bench.score(out, "anls")


def test_ranks_by_hand():
    """Two pictures with two captions each, on a line."""
    images = np.array([[1.0], [2.0]])
    captions = np.array([[4.0], [1.0], [3.0], [-1.0]])
    owners = np.array([0, 0, 1, 1])
    # The best caption of both pictures is caption 0; then 2, 1, 3.
    found = ranks.ahead(images, captions, np.arange(2), owners)
    assert found.tolist() == [0, 1]
    # Captions 0 to 2 like picture 1 most, caption 3 likes picture 0.
    found = ranks.ahead(captions, images, owners, np.arange(2))
    assert found.tolist() == [1, 1, 0, 1]
    # Captions without themselves: 0 wants 1, behind 2; 1 wants 0, first of all;
    # 2 wants 3, behind 0 and 1; 3 wants 2, behind 1 (-1 is more than -3).
    found = ranks.ahead(captions, captions, owners, owners, leave_out_self=True)
    assert found.tolist() == [1, 0, 2, 1]
    assert ranks.recalls(found, (1, 2)) == {1: 0.25, 2: 0.75}


def test_ties_count_against_the_query(monkeypatch):
    monkeypatch.setattr("bridge_jax.eval.outside.ranks.BLOCK", 7)
    labels = np.arange(20)
    alike = np.ones((20, 8), np.float32) / np.sqrt(np.float32(8))
    assert set(ranks.ahead(alike, alike, labels, labels).tolist()) == {19}
    # Equal vectors tie wherever they stand, whatever the order of sums.
    drawn = np.random.default_rng(0).normal(size=(10, 1023)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    twice = np.concatenate([drawn, drawn])
    assert set(ranks.ahead(twice, twice, labels, labels).tolist()) == {1}
    hurt = np.eye(20)
    hurt[3] = np.nan
    found = ranks.ahead(np.eye(20), hurt, labels, labels)
    assert found[3] == 19 and set(np.delete(found, 3).tolist()) == {1}


def test_mistakes_come_all_at_once(data):
    document = json.loads(data.read_text())
    document["images"][0]["filename"] = "nowhere.png"
    document["images"][1]["sentences"] = []
    document["images"][2]["sentences"][1] = {"tokens": ["a"]}
    document["images"].append("picture")
    data.write_text(json.dumps(document))
    with pytest.raises(BridgeError) as error:
        karpathy.Benchmark(data)
    said = str(error.value)
    for place in ("images[0]", "images[1]", "images[2]: sentences[1]", "images[14]"):
        assert place in said
    data.write_text(json.dumps({"images": [{"split": "train"}]}))
    with pytest.raises(BridgeError, match="no image is of split 'test'"):
        karpathy.Benchmark(data)
