"""Perplexity and bits per byte, over texts and conversations."""

import math

import benchmark_files as files
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import faults
from bridge_jax.data.forms import conversation
from bridge_jax.eval import options
from bridge_jax.eval.benchmarks import perplexity
from bridge_jax.eval.outside.shards import Shard

OPTIONS = options.Options(batch=2)


class Coin:
    """A token a byte, each as likely as `chance`; remembers what it read."""

    def __init__(self, chance):
        self.chance, self.read = chance, []

    def _of(self, words):
        self.read.append(words)
        return len(words.encode()) * math.log(self.chance), len(words.encode())

    def likelihood(self, prompts, targets, images=None):
        assert images is None and set(prompts) == {None}
        return [self._of(words) for words in targets]

    def likelihood_of_replies(self, talks, images):
        said = []
        for messages, pictures in zip(talks, images, strict=True):
            parts = [p for m in messages for p in m["content"]]
            assert sum(p["type"] == "image" for p in parts) == len(pictures)
            replies = [m for m in messages if m["role"] == "assistant"]
            said.append("".join(p["text"] for m in replies for p in m["content"]))
        return [self._of(words) for words in said]


@pytest.fixture
def data(tmp_path):
    files.picture(tmp_path / "a.png", 1)
    question = {"from": "human", "value": "<image>\nWhat <image> is it?"}
    records = [
        {"text": "naïve"},
        {
            "messages": [
                {"role": "user", "content": "Hello <image>"},
                {"role": "assistant", "content": "<image>"},
            ]
        },
        {
            "image": ["a.png", "a.png"],
            "conversations": [question, {"from": "gpt", "value": "two"}],
        },
        {"text": "abc"},
        {"text": "d"},
    ]
    return files.lines(tmp_path / "d.jsonl", records)


def test_a_coin_has_perplexity_two_and_a_bit_a_byte(data, tmp_path):
    bench, model = perplexity.Benchmark(data), Coin(0.5)
    for index in range(2):
        bench.answer(model, tmp_path / "out", OPTIONS, Shard(index, 2))
    # Shards 0 and 1; the filling of shard 0's second batch is read and not counted.
    assert model.read == ["naïve", "two", "d", "d", "abc", "<image>"]
    figures = bench.score(tmp_path / "out")
    assert figures == {
        "perplexity": pytest.approx(2),
        "bits_per_byte": pytest.approx(1),
        "tokens": 6 + 7 + 3 + 3 + 1,
    }
    bench.answer(Coin(0.25), tmp_path / "four", OPTIONS)
    figures = bench.score(tmp_path / "four")
    assert figures["perplexity"] == pytest.approx(4)
    assert figures["bits_per_byte"] == pytest.approx(2)
    with pytest.raises(BridgeError, match="takes no --scorer"):
        bench.score(tmp_path / "four", "anls")


def test_tokens_weigh_alike_whatever_item_they_are_in(tmp_path):
    data = files.lines(tmp_path / "d.jsonl", [{"text": "aaaa"}, {"text": "b"}])
    bench = perplexity.Benchmark(data)
    bench.answer(Coin(0.5), tmp_path / "o", OPTIONS, Shard(0, 2))
    bench.answer(Coin(1 / 32), tmp_path / "o", OPTIONS, Shard(1, 2))
    assert bench.score(tmp_path / "o")["perplexity"] == pytest.approx(2 ** (9 / 5))


def test_marks_stand_for_pictures_in_order(tmp_path):
    files.picture(tmp_path / "a.png", 1)
    found = faults.Faults()
    record = {
        "images": ["a.png"],
        "messages": [
            {"role": "system", "content": "Be <image> brief."},
            {"role": "user", "content": "See <image> this"},
            {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
        ],
    }
    made = conversation.read(record, [tmp_path], "here", found)
    found.stop()
    assert made.messages[0]["content"] == [
        {"type": "text", "text": "Be <image> brief."}
    ]
    kinds = [part["type"] for part in made.messages[1]["content"]]
    assert kinds == ["text", "image", "text"] and made.replies == "yes"
    assert made.images == (tmp_path / "a.png",)


def test_mistakes_come_all_at_once_with_their_lines(tmp_path):
    files.picture(tmp_path / "a.png", 1)
    user, reply = ({"role": r, "content": "x"} for r in ("user", "assistant"))
    records = [
        {"text": ""},
        {"words": "x"},
        {"messages": [user]},
        {"messages": [user, reply], "images": ["a.png"]},
        {"messages": [user, reply | {"role": "robot"}, reply]},
        {"messages": [{"role": "user", "content": 3}, reply]},
        {"messages": [user | {"content": "<image>"}, reply], "images": ["b.png"]},
    ]
    with pytest.raises(BridgeError) as error:
        perplexity.Benchmark(files.lines(tmp_path / "d.jsonl", records))
    for line in range(1, 8):
        assert f"d.jsonl:{line}: " in str(error.value)
    assert "1 given" in str(error.value) and "b.png" in str(error.value)
