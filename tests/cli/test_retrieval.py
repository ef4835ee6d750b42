"""The commands that make, change and search an index, on a model of eight numbers."""

import json

import pytest
import toy_embedder
from PIL import Image

import bridge_jax
from bridge_jax.retrieval import Index


@pytest.fixture(scope="session")
def folder():
    """In the place of the weights that other commands need."""
    return "toy"


@pytest.fixture
def toy(bridge, monkeypatch):
    model = toy_embedder.Embedder()
    monkeypatch.setattr(bridge_jax, "load", lambda *_, **_options: model)
    for name, color in (("a.png", "red"), ("b.png", "blue"), ("c.png", "lime")):
        Image.new("RGB", (8, 8), color).save(name)
    return model


def test_an_index_grows_and_shrinks_by_commands(toy, bridge):
    assert bridge("embed", "a.png", "-o", "i")[1] == "1 pictures in i\n"
    code, out, _ = bridge("embed", ".", "-o", "i", "--add")
    assert code == 0
    assert out == "2 pictures added to i, which holds 3; 1 were there already\n"
    assert bridge("search", "i", "b.png", "-k", "1")[1] == "1.0000  b.png\n"
    code, out, _ = bridge("embed", "-o", "i", "--remove", "b.png", "c.png")
    assert (code, out) == (0, "2 removed from i, which holds 1\n")
    assert Index.open("i", "toy").ids == ("a.png",)


def test_pictures_and_texts_together(toy, bridge, tmp_path):
    lines = [{"image": f"{n}.png", "captions": [n, n + n]} for n in "abc"]
    (tmp_path / "l.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    code, out, _ = bridge("embed", "l.jsonl", "-o", "i", "--what", "both")
    assert (code, out) == (0, "3 pictures and 6 texts in i\n")
    code, out, err = bridge("search", "i", "bb", "-k", "2", "--json")
    first, second = json.loads(out)
    assert first["id"].endswith(": bb") and first["score"] == pytest.approx(1, abs=1e-5)
    assert first["score"] > second["score"] and not err
    both = json.loads(bridge("search", "i", "b.png", "bb", "-k", "9", "--json")[1])
    assert {one["id"].split("l.jsonl")[1] for one in both[:2]} >= {first["id"][7:]}
    assert both[0]["score"] < 0.999  # near to both, equal to none


def test_approximate_search_says_once_what_it_misses(toy, bridge, monkeypatch):
    monkeypatch.setattr("bridge_jax.retrieval.approximate._FEW", 1)
    bridge("embed", ".", "-o", "i")
    asked = ("search", "i", "a.png", "-k", "1", "--approximate")
    code, out, err = bridge(*asked)
    assert (code, out) == (0, "1.0000  a.png\n") and "recall@1 1.000" in err
    assert bridge(*asked) == (0, "1.0000  a.png\n", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("embed", "-o", "i"), "one of the two"),
        (("embed", "a.png", "-o", "new", "--remove", "b"), "one of the two"),
        (("embed", "-o", "new", "--remove", "b"), "no index"),
        (("embed", "-o", "i", "--remove", "x", "a.png"), "i has no x"),
        (("embed", "a.png", "-o", "i"), "--add to grow it"),
        (("embed", "a.png", "-o", "i", "--add", "--force"), "not allowed"),
        (("search", "i", "a circle", "x.png", "y.png"), "x.png, y.png: no such file"),
    ],
)
def test_mistakes(toy, bridge, refused, words, told):
    bridge("embed", "a.png", "-o", "i")
    assert told in refused(*words)
    assert Index.open("i").ids == ("a.png",)
