"""Batches: resumed exactly, and the same whoever reads them."""

import json

import jax
import miniature
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline

COUNTING = '''"""Rows that say which they are."""
import dataclasses
import numpy as np

@dataclasses.dataclass(frozen=True)
class Stream:
    processor: object
    offset: int = 0

    def __call__(self, index):
        return {"index": np.int64(index + self.offset)}
'''


@pytest.fixture
def counting(tmp_path, monkeypatch):
    """Name of a stream outside the package."""
    (tmp_path / "my_streams").mkdir()
    (tmp_path / "my_streams" / "counting.py").write_text(COUNTING)
    monkeypatch.syspath_prepend(tmp_path)
    return "my_streams.counting"


def batches(streams, *share):
    return pipeline.batches(pipeline.Settings(streams), miniature.PROCESSOR, *share)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_every_row_once(counting, processes):
    streams = {
        "a": {"source": counting, "batch": 8},
        "b": {"source": counting, "batch": 4, "offset": 100},
    }
    readers = [batches(streams, rank, processes) for rank in range(processes)]
    for step in range(3):
        shares = [next(reader) for reader in readers]
        for name, size, offset in (("a", 8, 0), ("b", 4, 100)):
            parts = [share[name]["index"] for share in shares]
            assert {len(part) for part in parts} == {size // processes}
            first = step * size + offset
            # In order: noise is drawn by a row's position in the global batch.
            assert list(np.concatenate(parts)) == list(range(first, first + size))


def test_each_row_is_read_once_when_the_number_of_processes_changes(counting):
    streams = {"a": {"source": counting, "batch": 8}}
    state, read = None, []
    for processes in (4, 2, 1, 4):
        readers = [batches(streams, rank, processes) for rank in range(processes)]
        if state is not None:
            for reader in readers:
                reader.set_state(json.loads(state))
        for _ in range(3):
            read += [int(i) for one in readers for i in next(one)["a"]["index"]]
        states = {json.dumps(reader.get_state()) for reader in readers}
        assert len(states) == 1  # equal, so any of them is everybody's
        state = states.pop()
    assert sorted(read) == list(range(4 * 3 * 8))


def test_continues_exactly_where_it_stopped():
    streams = {
        "generate": {"source": "shapes_generate", "batch": 2},
        "retrieve": {"source": "shapes_retrieve", "batch": 3},
    }
    reader = batches(streams)
    for _ in range(2):
        next(reader)
    state = json.loads(json.dumps(reader.get_state()))
    expected = [next(reader) for _ in range(2)]
    resumed = batches(streams)
    next(resumed)
    resumed.set_state(state)
    for batch in expected:
        jax.tree.map(np.testing.assert_array_equal, next(resumed), batch)
    assert expected[0]["retrieve"]["vlm_text"]["tokens"].shape == (3, 60)


def test_a_position_of_other_streams_is_refused(counting):
    state = batches({"a": {"source": counting, "batch": 2}}).get_state()
    other = batches({"b": {"source": counting, "batch": 2}})
    with pytest.raises(BridgeError, match=r"is of streams \['a'\], this run .*'b'"):
        other.set_state(state)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "shapes_edits", "batch": 2}, "did you mean 'shapes_edit'"),
        ({"source": "elsewhere.rows", "batch": 2}, "no module elsewhere.rows"),
        ({"source": "bridge_jax.data.chat", "batch": 2}, "chat defines no Stream"),
        ({"source": "shapes_edit", "batch": 2, "lenght": 3}, "did you mean 'length'"),
        ({"source": "shapes_edit", "batch": 3}, "streams.main.batch is 3: .* 2"),
        ({"source": "shapes_edit"}, "streams.main.batch is 0"),
    ],
)
def test_mistakes_are_explained(given, message):
    with pytest.raises(BridgeError, match=message):
        batches({"main": given}, 0, 2)


def test_fewer_readers_than_none_are_refused():
    with pytest.raises(
        BridgeError, match="reader_threads is -1, reader_processes is -2: give 0"
    ):
        pipeline.Settings({}, threads=-1, processes=-2)


@pytest.mark.parametrize("error", [BridgeError, ZeroDivisionError, SystemExit])
def test_an_error_in_a_reader_is_never_a_short_epoch(monkeypatch, error):
    """It comes up, whatever was read ahead, and for whoever asks again."""
    from bridge_jax.data.streams import shapes_images

    whole = shapes_images.Stream.__call__

    def failing(self, index):
        if index == 21:
            raise error("a bad day")
        return whole(self, index)

    monkeypatch.setattr(shapes_images.Stream, "__call__", failing)
    table = {"main": {"source": "shapes_images", "batch": 4}}
    settings = pipeline.Settings(table, threads=3, prefetch=8)
    it = pipeline.batches(settings, miniature.PROCESSOR)
    for _ in range(5):
        next(it)
    with pytest.raises(error, match="a bad day"):
        next(it)
    for _ in range(3):
        with pytest.raises(
            BridgeError, match="no more data after an error: streams.ma"
        ):
            next(it)
