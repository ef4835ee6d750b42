"""An index that grows and shrinks holds what a dictionary would."""

import json
import threading

import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.retrieval import Index, folder, growth


def vectors(ids):
    """Of each id its own."""
    return np.stack(
        [np.random.default_rng(int(one)).normal(size=6).astype("f4") for one in ids]
    )


def held(index):
    return dict(zip(index.ids, map(tuple, np.asarray(index.embeddings)), strict=True))


def check(index, ids):
    assert index.ids == tuple(ids) and len(index) == len(ids)
    assert held(index) == {one: tuple(vectors([one])[0]) for one in ids}


def test_any_changes_leave_what_a_list_would_hold(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: None)  # which takes most of the time
    draw = np.random.default_rng(0)
    ids = [str(i) for i in range(5)]
    Index.build(vectors(ids), ids, "m").save(tmp_path / "i")
    index, most, files = Index.open(tmp_path / "i", "m"), 0, 0
    for turn in range(40):
        if draw.random() < 0.6 or len(ids) < 4:
            new = [str(1000 * turn + i) for i in range(draw.integers(5, 9))]
            index.add(vectors(new), new)
            ids += new
        else:
            gone = draw.choice(ids, draw.integers(1, 4), replace=False).tolist()
            index.remove(gone)
            ids = [one for one in ids if one not in gone]
        most = max(most, len(index.segments))
        files = max(files, len(list((tmp_path / "i").iterdir())))
        check(index, ids)
        if not turn % 10:
            check(Index.open(tmp_path / "i", "m"), ids)
    assert 3 <= most <= 8 and files == most + 1  # nothing is left behind
    query = vectors([ids[3]])
    places = np.argsort(-(query @ vectors(ids).T)[0])[:4]
    assert index.search(query, 4)[0] == [[ids[i] for i in places]]
    index.compact()
    check(index, ids)
    assert len(index.segments) == 1


def test_much_that_is_removed_goes_from_the_disk(tmp_path):
    ids = [str(i) for i in range(100)]
    Index.build(vectors(ids), ids).save(tmp_path / "i")
    index = Index.open(tmp_path / "i")
    [path] = (tmp_path / "i").glob("*/embeddings.npy")
    index.remove(ids[:25])
    assert path.is_file() and len(index) == 75
    assert len(list(path.parent.glob("removed-*"))) == 1
    index.remove(ids[25:26])
    check(index, ids[26:])
    [path] = (tmp_path / "i").glob("*/embeddings.npy")
    assert np.load(path).shape == (74, 6)


def test_an_index_can_lose_all_and_gain_again(tmp_path):
    Index.build(vectors(["1"]), ["1"]).save(tmp_path / "i")
    index = Index.open(tmp_path / "i")
    index.remove(["1"])
    assert index.ids == () and index.embeddings.shape == (0, 6)
    assert index.search(np.ones((2, 6)), 3)[0] == [[], []]
    index.add(vectors(["2"]), ["2"])
    check(index, ["2"])


def test_who_has_it_open_goes_on_with_what_it_was(tmp_path):
    ids = [str(i) for i in range(20)]
    Index.build(vectors(ids), ids).save(tmp_path / "i")
    before, other = Index.open(tmp_path / "i"), Index.open(tmp_path / "i")
    other.remove(ids[:10])
    assert before.search(vectors(["3"]), 1)[0] == [["3"]]
    check(before, ids)
    before.add(vectors(["77"]), ["77"])  # to what is there now
    check(before, [*ids[10:], "77"])


def test_mistakes_change_nothing(tmp_path):
    Index.build(vectors("123"), list("123"), "m").save(tmp_path / "i")
    index = Index.open(tmp_path / "i")
    told = (tmp_path / "i" / "index.json").read_text()
    with pytest.raises(BridgeError, match="has 2, 3 already"):
        index.add(vectors("234"), list("234"))
    with pytest.raises(BridgeError, match="twice: 4"):
        index.add(vectors("44"), list("44"))
    with pytest.raises(BridgeError, match="has no 8, 9"):
        index.remove(["1", "9", "8"])
    with pytest.raises(BridgeError, match=r"the index is \[3, 6\]"):
        index.add(np.ones((1, 5)), ["5"])
    with pytest.raises(BridgeError, match="not finite"):
        index.add(np.full((1, 6), np.inf), ["5"])
    assert (tmp_path / "i" / "index.json").read_text() == told
    check(Index.open(tmp_path / "i"), "123")


def test_one_changes_it_at_a_time(tmp_path):
    Index.build(vectors("12"), list("12")).save(tmp_path / "i")
    index = Index.open(tmp_path / "i")
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with folder.writing(tmp_path / "i"):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(60)
    with pytest.raises(BridgeError, match="being changed by another"):
        index.add(vectors("3"), ["3"])
    leave.set()
    thread.join()
    index.add(vectors("3"), ["3"])
    check(index, "123")


def test_a_newer_version_is_refused(tmp_path):
    Index.build(vectors("12"), list("12")).save(tmp_path / "i")
    about = json.loads((tmp_path / "i" / "index.json").read_text())
    (tmp_path / "i" / "index.json").write_text(json.dumps(about | {"version": 3}))
    with pytest.raises(BridgeError, match="version 3"):
        Index.open(tmp_path / "i")


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    Index.build(vectors("12"), list("12")).save(tmp_path / "i")
    index = Index.open(tmp_path / "i")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(BridgeError, match="No space left on device; what it held"):
        index.add(vectors("3"), ["3"])
    monkeypatch.undo()
    check(Index.open(tmp_path / "i"), "12")


@pytest.mark.parametrize(
    ("counts", "new", "taken"),
    [([], 5, 0), ([8, 4], 3, 0), ([8, 4], 4, 2), ([64, 8, 4, 2], 2, 3), ([9], 10, 1)],
)
def test_sizes_fall_by_half(counts, new, taken):
    assert growth.joined(counts, new) == taken
