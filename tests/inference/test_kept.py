"""What was read before is not read again, and nothing else changes by that."""

import numpy as np
import pytest

from bridge_jax.data import chat
from bridge_jax.inference import inputs, opening
from bridge_jax.inference.answering import decode, kept, seats, turns
from bridge_jax.inference.answering.choosing import Choice

IMAGE = {"type": "image"}


def user(*content):
    parts = [{"type": "text", "text": c} if isinstance(c, str) else c for c in content]
    return {"role": "user", "content": parts}


def beginning(*names, size=None):
    array = np.zeros((1, size or len(names), 2))
    return kept.Beginning(np.asarray(names), (array,), (array,))


@pytest.fixture(scope="module")
def shown(talker, pictures):
    return inputs.pictures(pictures[:2], talker.processor)


@pytest.fixture
def guest(talker, shown):
    """guest(messages): with as many of the pictures as they mention."""

    def make(messages):
        count = sum(str(m["content"]).count("'image'") for m in messages)
        asked = turns.conversation(talker.engine, messages, shown[:count])
        return seats.Guest(asked, Choice(), 7)

    return make


def test_the_same_words_of_another_picture_are_read_again(talker, guest, shown):
    merge = talker.processor.config.merge
    messages = [user("look: ", IMAGE, "what is it?")]
    one = guest(messages).conversation
    other = turns.conversation(talker.engine, messages, shown[1:])
    assert one.row.tokens.tolist() == other.row.tokens.tolist()
    first, second = kept.names(one, merge), kept.names(other, merge)
    place = int(np.argmax(one.row.visual))
    assert opening.in_common(first, second) == place
    assert (first[one.row.visual] < 0).all() and (first[~one.row.visual] >= 0).all()
    assert len(set(first[one.row.visual])) == one.row.visual.sum()


def test_the_rest_of_a_row_is_placed_as_in_the_whole(talker, guest, shown):
    more = [user(IMAGE, "a b"), user("c", IMAGE, "d")]
    asked = guest(more).conversation
    whole = decode.prepare(talker.engine, [asked])
    second = np.flatnonzero(np.diff(asked.row.visual.astype(int)) == 1)[1] + 1
    for skip in (1, int(second) - 1, int(second), len(asked.row.tokens) - 1):
        part = kept.rest(talker.engine, asked, skip, 256)
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
        merged = sum(p.size for p in left) // talker.processor.config.merge**2
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
