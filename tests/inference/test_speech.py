"""Pieces of text as tokens come: whole letters, no stop strings, nothing taken back."""

import numpy as np
import pytest

from bridge_jax.data import tokens
from bridge_jax.inference.answering import reading
from bridge_jax.inference.answering.choosing import Choice
from bridge_jax.inference.answering.speech import Speech

TEXT = " \n a zürich 中文 café 👩‍🚀 stars and stars, stop here \n and then more  "


@pytest.fixture(scope="module")
def tokenizer():
    return tokens.load_built_in("qwen2_vl")


@pytest.fixture(scope="module")
def ids(tokenizer):
    return tokenizer.encode_text(TEXT * 3)


def pieces(tokenizer, ids, stop, at_once):
    """What is said as so many tokens come at a time."""
    speech = Speech(tokenizer, stop)
    found = [speech.hear(ids[i : i + at_once]) for i in range(0, len(ids), at_once)]
    return speech, [*found, speech.end()]


@pytest.mark.parametrize("at_once", [1, 3, 1000])
@pytest.mark.parametrize(
    "stop",
    [(), ("stop",), ("stars, ", "nowhere"), ("é",), (" 👩‍🚀",), ("\n a",), ("z",)],
)
def test_pieces_are_the_answer(tokenizer, ids, stop, at_once):
    speech, found = pieces(tokenizer, ids, stop, at_once)
    whole = TEXT * 3
    wanted = whole[: min((whole.find(s) for s in stop if s in whole), default=None)]
    text, kept = speech.kept()
    assert text == wanted.strip() == "".join(text for text, _ in found)
    assert [one for _, some in found for one in some] == kept
    assert kept == ids[: len(kept)] and speech.stopped == (wanted != whole)
    assert tokenizer.decode(kept).strip().startswith(text)
    assert "\N{REPLACEMENT CHARACTER}" not in text
    if at_once == 1 and text:  # it streams: most is said before the end
        assert sum(bool(text) for text, _ in found) > len(text) / 20


def test_what_may_become_a_stop_is_held_back(tokenizer):
    speech = Speech(tokenizer, ("abcd", "bx"))
    said = [speech.hear(tokenizer.encode_text(letter))[0] for letter in "zabcabcd"]
    assert "".join(said) == "zabc" and said[:4] == ["z", "", "", ""]
    assert speech.stopped and speech.end() == ("", ())


def test_half_a_letter_at_the_end_is_told_as_such(tokenizer):
    star = tokenizer.encode_text("☃")
    assert len(star) > 1
    speech = Speech(tokenizer)
    assert speech.hear(star[:-1]) == ("", ())
    assert speech.end() == ("\N{REPLACEMENT CHARACTER}", tuple(star[:-1]))


def test_an_answer_ends_at_its_stop_string(tokenizer):
    ids = np.asarray([*tokenizer.encode_text("one two three"), 7, 8], np.int32)

    def read(stops, **given):
        return reading.answer(tokenizer, ids[:-2], stops, Choice(**given))

    plain = read(())
    assert (plain.text, plain.finish) == ("one two three", "length")
    cut = read((), stop=("o t",))
    assert (cut.text, cut.finish) == ("one tw", "stop")
    assert cut.tokens.tolist() == ids[: len(cut.tokens)].tolist()
    ended = read((int(ids[2]),), stop=("nothing",))
    assert ended.finish == "stop" and len(ended.tokens) == 2


def test_tokens_are_scored_beside_their_alternatives(tokenizer):
    ids = np.asarray(tokenizer.encode_text("a b"), np.int32)
    count = len(ids)
    told = {
        "own": np.linspace(-1, -2, count),
        "top": np.tile(np.arange(40, 60), (count, 1)),
        "tops": np.tile(np.linspace(-0.5, -9, 20), (count, 1)),
    }
    found = reading.answer(tokenizer, ids, (), Choice(logprobs=2), told).logprobs
    assert [one.token for one in found] == ids.tolist()
    assert "".join(one.text for one in found) == "a b"
    assert [s.token for s in found[0].others] == [40, 41]
    assert found[-1].log_probability == -2 and not found[0].others[0].others
    assert reading.answer(tokenizer, ids, (), Choice()).logprobs is None
