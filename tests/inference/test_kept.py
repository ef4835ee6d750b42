"""What was read before is not read again, and nothing else changes by that."""

import numpy as np
import pytest

from bridge_jax.data import chat
from bridge_jax.inference import decode, inputs, kept, seats, turns
from bridge_jax.inference.choosing import Choice

IMAGE = {"type": "image"}
TOLD = {"temperature": 1.0, "logprobs": 20}


def user(*content):
    parts = [{"type": "text", "text": c} if isinstance(c, str) else c for c in content]
    return {"role": "user", "content": parts}


def beginning(*names, size=None):
    array = np.zeros((1, size or len(names), 2))
    return kept.Beginning(np.asarray(names), (array,), (array,))


@pytest.fixture(scope="module")
def shown(straight, pictures):
    return inputs.pictures(pictures[:2], straight.processor)


@pytest.fixture(scope="module")
def ring(straight):
    return seats.Seats(straight.engine, straight.params, rows=2, context=256)


@pytest.fixture
def guest(straight, shown):
    """guest(messages, seed, new): with as many of the pictures as they mention."""

    def make(messages, seed=0, new=8):
        count = sum(str(m["content"]).count("'image'") for m in messages)
        asked = turns.conversation(straight.engine, messages, shown[:count])
        return seats.Guest(asked, Choice(new, seed=seed, **TOLD), 7)

    return make


def answered(ring, guest):
    """(tokens, chances of the likeliest, how many tokens of the prompt were reused)"""
    [(row, reused)] = ring.seat([guest]).items()
    tokens, tops = [], []
    while True:
        said = ring.advance()[row]
        tokens += said.tokens.tolist()
        tops += list(said.told["tops"][: len(said.tokens)])
        if said.done:
            ring.leave([row])
            return tokens, np.asarray(tops), reused


def test_a_common_beginning_is_read_once(ring, guest):
    """A picture and the words before another question, and a second turn on it."""
    ring.clear()
    first = [user(IMAGE, "what is in the picture?")]
    other = guest([user(IMAGE, "what is it good for?")], 1)
    for seed in range(20):  # until what is said would be written with the same tokens
        said, _, _ = answered(ring, guest(first, seed))
        text = ring._engine.processor.llm.decode(said)
        if (
            text == text.strip()
            and ring._engine.processor.llm.encode_text(text) == said
        ):
            break
    else:
        pytest.fail("no answer is written as it was said")
    more = [*first, {"role": "assistant", "content": text}, user(IMAGE, "and this?")]
    follow = guest(more, 2)
    wanted = []
    for one, least in (
        (other, 40),
        (follow, len(guest(first).conversation.row.tokens)),
    ):
        before = ring.read, ring.reused
        tokens, tops, reused = answered(ring, one)
        size = len(one.conversation.row.tokens)
        assert least <= reused < size
        assert (ring.read - before[0], ring.reused - before[1]) == (
            size - reused,
            reused,
        )
        wanted.append((tokens, tops, reused))
    # Of the answer itself all is remembered but the token that was written last.
    assert wanted[1][2] >= len(guest(first).conversation.row.tokens) + len(said) - 1
    for one, (tokens, tops, _) in zip((other, follow), wanted, strict=True):
        ring.clear()
        again, plain, reused = answered(ring, one)
        assert reused == 0 and again == tokens
        np.testing.assert_allclose(tops, plain, atol=1e-5)


def test_the_same_words_of_another_picture_are_read_again(straight, guest, shown):
    merge = straight.processor.config.merge
    messages = [user("look: ", IMAGE, "what is it?")]
    one = guest(messages).conversation
    other = turns.conversation(straight.engine, messages, shown[1:])
    assert one.row.tokens.tolist() == other.row.tokens.tolist()
    first, second = kept.names(one, merge), kept.names(other, merge)
    place = int(np.argmax(one.row.visual))
    assert kept._shared(first, second) == place
    assert (first[one.row.visual] < 0).all() and (first[~one.row.visual] >= 0).all()
    assert len(set(first[one.row.visual])) == one.row.visual.sum()


def test_the_rest_of_a_row_is_placed_as_in_the_whole(straight, guest, shown):
    more = [user(IMAGE, "a b"), user("c", IMAGE, "d")]
    asked = guest(more).conversation
    whole = decode.prepare(straight.engine, [asked])
    second = np.flatnonzero(np.diff(asked.row.visual.astype(int)) == 1)[1] + 1
    for skip in (1, int(second) - 1, int(second), len(asked.row.tokens) - 1):
        part = kept.rest(straight.engine, asked, skip, 256)
        new = len(asked.row.tokens) - skip
        for name in ("tokens", "segments", "positions"):
            ours, theirs = part["vlm"][name], whole["vlm"][name]
            np.testing.assert_array_equal(ours[..., -new:], theirs[..., -new:])
        length = part["vlm"]["tokens"].shape[1]
        assert not part["vlm"]["segments"][0, : length - new].any()
        wide = whole["vlm"]["tokens"].shape[1]
        assert part["deltas"][0] + length == whole["deltas"][0] + wide
        left = [p for p in shown if skip <= (1 if p is shown[0] else second)]
        index = part["vlm"].get("image_index", np.full((1, length), -1))
        merged = sum(p.size for p in left) // straight.processor.config.merge**2
        assert index[index >= 0].tolist() == list(range(merged))
        if left:
            count = sum(p.size for p in left)
            patches = part["vlm"]["patches"][0, :count]
            expected = np.concatenate([p.patches()[0] for p in left])
            np.testing.assert_array_equal(patches, expected)


def test_the_longest_and_latest_are_kept(monkeypatch):
    monkeypatch.setattr(kept, "LEAST", 3)
    store = kept.Kept(12)
    assert store.find(np.arange(9)) is None
    store.add(beginning(0, 1, 2, 3))
    assert store.find(np.arange(9))[1] == 4
    assert store.find(np.arange(4))[1] == 3  # one is left to be read
    assert store.find(np.asarray([0, 1, 5, 6])) is None  # too short
    assert store.knows(np.arange(4)) and store.knows(np.arange(2))
    assert not store.knows(np.arange(5))
    store.add(beginning(0, 1, 2, 3, 4))  # goes on from the first, and takes its place
    store.add(beginning(9, 8, 7, size=4))
    assert len(store) == 2
    assert store.find(np.arange(4))[0].names.tolist() == [0, 1, 2, 3, 4]
    store.add(beginning(5, 5, 5, 5))  # 13 places: the one not used for longest goes
    assert len(store) == 2 and store.find(np.asarray([9, 8, 7, 6])) is None


def test_ids_of_tokens_are_never_names_of_pictures():
    row = chat.Row(*(np.asarray([3, 0]) for _ in range(2)), *[np.zeros(2, bool)] * 2)
    assert kept.names(decode.Conversation(row), 2).tolist() == [3, 0]
