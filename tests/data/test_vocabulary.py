"""Words that tokenizers of every make share."""

import json

import pytest

from bridge_jax.cli import main
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import shapes_world, tokens, vocabulary

SIDES = ("qwen2_vl", "mt5", "bert")


@pytest.fixture(scope="module")
def tokenizers():
    return {side: tokens.load_built_in(side) for side in SIDES}


@pytest.mark.parametrize("side", SIDES)
def test_a_spelling_is_what_its_token_adds_to_a_text(tokenizers, side):
    one = tokenizers[side]
    found = vocabulary.spellings(one)
    [alone] = one.encode_texts(["a"])
    for text, number in found.items():
        assert one.decode([*alone, number]) == f"a{text}", (text, number)
    assert not set(found.values()) & set(one.added.values())
    assert " red" in found and " circle" in found


def test_the_frequent_ones_come_first_and_have_their_ids(tokenizers):
    texts = list(shapes_world.corpus(200))
    found = vocabulary.shared(tokenizers, texts, 50)
    assert len(found.words) == 50
    assert list(found.counts) == sorted(found.counts, reverse=True)
    for side, one in tokenizers.items():
        rows = one.encode_texts(texts)
        own = [sum(row.count(i) for row in rows) for i in found.of(side)]
        assert all(a >= b for a, b in zip(own, found.counts, strict=True))
    backwards = dict(reversed(tokenizers.items()))
    again = vocabulary.shared(backwards, iter(texts), 50)
    assert (again.words, again.counts) == (found.words, found.counts)


def test_too_few_shared_words_are_told(tokenizers):
    with pytest.raises(BridgeError) as told:
        vocabulary.shared(tokenizers, ["put a red circle"], 50)
    # "put" stands at the beginning, where it is another word for some of them.
    assert "of which 3 occur in these texts, and 50 are wanted" in str(told.value)


def test_the_command_writes_what_is_read_again(tokenizers, tmp_path, capsys):
    corpus, out = tmp_path / "corpus.txt", tmp_path / "words.json"
    corpus.write_text("\n".join(shapes_world.corpus(200)))
    folders = [f"--llm={tokens.BUILT_IN / side}" for side in SIDES[:2]]
    words = ["langbridge", "vocab", *folders, "--corpus", str(corpus)]
    assert main.main([*words, "--size=40", "-o", str(out)]) == 0
    assert "the most frequent: ' a'" in capsys.readouterr().out
    both = {side: tokenizers[side] for side in SIDES[:2]}
    texts = corpus.read_text().splitlines()
    assert vocabulary.load(out) == vocabulary.shared(both, texts, 40)
    before = out.read_bytes()
    for more, told in (
        ([*words, "-o", str(out)], "pass --force"),
        ([*words[:3], *words[4:], "-o", str(tmp_path / "b")], "give --llm twice"),
        ([*words, f"--llm={words[2][6:]}", "-o", str(tmp_path / "b")], "NAME=FOLDER"),
        ([*words, "-o", str(tmp_path / "b")], "19200 are wanted"),
    ):
        assert main.main(more) == 2
        assert told in capsys.readouterr().err
    assert out.read_bytes() == before and not (tmp_path / "b").exists()


def test_other_files_are_refused(tmp_path, tokenizers):
    path = tmp_path / "words.json"
    for text in ("{", "[]", '{"words": ["a"], "ids": {}, "counts": [1]}', "{}"):
        path.write_text(text)
        with pytest.raises(BridgeError, match=r"words\.json"):
            vocabulary.load(path)
    told = {"words": ["a"], "ids": {"one": [1, 2]}, "counts": [1]}
    path.write_text(json.dumps(told))
    with pytest.raises(BridgeError, match="differ in length"):
        vocabulary.load(path)
    path.write_text(json.dumps(told | {"ids": {"qwen2": [7]}}))
    with pytest.raises(BridgeError, match="no ids of 'qwen' .did you mean 'qwen2'"):
        vocabulary.load(path).of("qwen")


def test_a_model_may_name_its_words(tmp_path):
    path = tmp_path / "words.json"
    path.write_text((tokens.BUILT_IN / vocabulary.SHAPES).read_text())
    for name in ("shapes:llama3", f"{path}:llama3"):
        found = vocabulary.resolved({"vlm": {"words": name}, "vae": {}})
        assert found["vlm"]["words"] == vocabulary.load(path).of("llama3")
        assert found["vae"] == {}
    for name, told in (
        ("words", "not of the form FILE:LLM"),
        ("nothing.json:llama3", "cannot read nothing.json"),
        ("shapes:llama4", "did you mean 'llama3'"),
    ):
        with pytest.raises(BridgeError, match=told):
            vocabulary.resolved({"vlm": {"words": name}})
