"""Rules of the next token against plain loops over one row, and mistakes in them."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.inference.answering import choosing
from bridge_jax.inference.answering.choosing import Choice

SIZE = 50
SETTINGS = [
    Choice(),
    Choice(temperature=0.7),
    Choice(temperature=1.3, top_k=5),
    Choice(temperature=1.0, top_p=0.6, seed=3),
    Choice(temperature=1.5, min_p=0.2),
    Choice(temperature=2.0, top_k=20, top_p=0.8, min_p=0.05, repetition_penalty=1.4),
    Choice(repetition_penalty=3.0),
    Choice(temperature=1.0, top_k=SIZE + 7, repetition_penalty=0.5, seed=2**32 - 1),
]
ROWS = len(SETTINGS)


@pytest.fixture(scope="module")
def scores():
    return np.random.default_rng(0).normal(0, 2, (ROWS, SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def seen():
    return np.random.default_rng(1).random((ROWS, SIZE)) < 0.3


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def penalised(row, seen, penalty):
    """CTRL's rule as transformers has it: positive scores shrink, negative grow."""
    moved = [s * penalty if s < 0 else s / penalty for s in row]
    return np.asarray([m if yes else s for s, m, yes in zip(row, moved, seen)])


def allowed(row, choice):
    """Tokens left by top-k, then top-p of what remains, then min-p."""
    order = [int(i) for i in np.argsort(-row)]
    kept = order[: choice.top_k or None]
    chances = dict(zip(kept, softmax(row[kept]), strict=True))
    nucleus, total = [], 0.0
    for token in kept:
        if choice.top_p < 1 and total >= choice.top_p:
            break
        nucleus.append(token)
        total += chances[token]
    most = max(chances.values())
    return {t for t in nucleus if chances[t] >= choice.min_p * most}


def drawn(scores, seen, count=400):
    """Tokens [count, ROWS], each time with other random numbers."""
    rules = choosing.rules(SETTINGS)

    @jax.jit
    def all_of(scores, seen):
        def one(number):
            numbers = jnp.full(ROWS, number, jnp.uint32)
            return choosing.pick(scores, rules, seen, numbers)

        return jax.lax.map(one, jnp.arange(count))

    return np.asarray(all_of(scores, seen))


def test_rows_draw_by_their_own_rules(scores, seen):
    found = drawn(scores, seen)
    for b, choice in enumerate(SETTINGS):
        row = penalised(scores[b], seen[b], choice.repetition_penalty)
        if choice.temperature == 0:
            assert set(found[:, b]) == {int(np.argmax(row))}
            continue
        row = row / choice.temperature
        left = allowed(row, choice)
        assert set(found[:, b]) <= left
        chances = softmax(np.where([i in left for i in range(SIZE)], row, -np.inf))
        counts = np.bincount(found[:, b], minlength=SIZE) / len(found)
        assert np.abs(counts - chances).max() < 0.08
        assert len(set(found[:, b])) > 1


def test_the_floor_is_the_lowest_of_what_is_left(scores):
    some = [c for c in SETTINGS if c.top_k or c.top_p < 1 or c.min_p]
    rules = choosing.rules(some)
    given = (rules[name] for name in ("top_k", "top_p", "min_p"))
    found = np.asarray(choosing.floor(jnp.asarray(scores[: len(some)]), *given))
    for b, choice in enumerate(some):
        left = allowed(scores[b], choice)
        assert {i for i in range(SIZE) if scores[b, i] >= found[b]} == left


def test_without_rules_drawing_is_as_it_always_was(scores):
    """Bit for bit: by the stream of the seed, what is asked, and the turn."""
    numbers, turn = np.arange(ROWS, dtype=np.uint32), 5
    warm = [Choice(temperature=0.7, seed=9)] * ROWS
    none = jnp.zeros(scores.shape, bool)
    found = choosing.pick(scores, choosing.rules(warm), none, numbers, turn)
    key = jax.random.fold_in(jax.random.key(9), zlib.crc32(b"answer"))
    key = jax.random.fold_in(key, 0)
    keys = [jax.random.fold_in(jax.random.fold_in(key, n), turn) for n in numbers]
    wanted = [
        int(jax.random.categorical(k, row / np.float32(0.7)))
        for k, row in zip(keys, scores, strict=True)
    ]
    assert found.tolist() == wanted


def test_the_coldest_is_the_likeliest(scores):
    cold = [Choice(temperature=1e-30)] * ROWS
    none, numbers = jnp.zeros(scores.shape, bool), np.zeros(ROWS, np.uint32)
    found = choosing.pick(jnp.asarray(scores), choosing.rules(cold), none, numbers)
    assert found.tolist() == np.argmax(scores, axis=1).tolist()
    assert cold[0].greedy and not SETTINGS[6].greedy


def test_what_is_told_are_log_probabilities(scores):
    tokens = np.arange(ROWS, dtype=np.int32)
    told = jax.tree.map(np.asarray, choosing.told(jnp.asarray(scores), tokens))
    chances = np.log([softmax(row.astype(np.float64)) for row in scores])
    np.testing.assert_allclose(told["own"], chances[range(ROWS), tokens], atol=1e-5)
    order = np.argsort(-chances, axis=1)[:, : choosing.TOP]
    np.testing.assert_array_equal(told["top"], order)
    np.testing.assert_allclose(
        told["tops"], np.take_along_axis(chances, order, 1), atol=1e-5
    )
    for name, room in choosing.untold(ROWS, 3, SIZE).items():
        assert room[:, 0].shape == told[name].shape


def test_all_mistakes_are_told_at_once():
    wrong = choosing.make(
        max_new_tokens=0,
        temperature=float("nan"),
        top_k=-1,
        top_p=0,
        min_p=1.5,
        repetition_penalty=0.0,
        seed=-1,
        stop=["a", ""],
        logprobs=21,
    )
    with pytest.raises(BridgeError) as raised:
        choosing.check(wrong, 64)
    told = str(raised.value).split("; ")
    names = [f.name for f in choosing.dataclasses.fields(Choice)]
    assert sorted(text.split()[0] for text in told) == sorted(names)
    odd = dict(top_k=True, temperature="hot", stop=[3], logprobs=1.0, top_p="all")
    assert len(choosing.problems(choosing.make(**odd), 65)) == len(odd)


def test_settings_that_can_be():
    assert choosing.make(stop="a").stop == ("a",)
    assert choosing.make(stop=None).stop == ()
    least = choosing.make(max_new_tokens=63, top_k=0, min_p=1, top_p=1, logprobs=0)
    choosing.check(least, 64)
    choosing.check(choosing.make(logprobs=20, temperature=np.float32(0.5)), 65)
