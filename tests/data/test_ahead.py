"""Rows made by processes of their own: the same ones, and none is lost or left over."""

import json
import os
import signal
import subprocess
import sys
import time

import miniature
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline

STREAM = '''"""Rows that say which they are, and who made them."""
import dataclasses
import os
import numpy as np

@dataclasses.dataclass(frozen=True)
class Stream:
    processor: object
    offset: int = 0
    fails_at: int = -1

    def __call__(self, index):
        if index == self.fails_at:
            raise LookupError("a bad day")
        return {"index": np.int64(index + self.offset), "maker": np.int64(os.getpid())}
'''

LEFT_ALONE = """
import os, signal, sys
sys.path[:0] = sys.argv[1:]
import miniature
from bridge_jax.data import pipeline

if __name__ == "__main__":
    table = {"a": {"source": "my_streams.telling", "batch": 2}}
    it = pipeline.batches(pipeline.Settings(table, processes=1), miniature.PROCESSOR)
    print(next(it)["a"]["maker"][0], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def telling(tmp_path, monkeypatch):
    """Name of a stream outside the package."""
    (tmp_path / "my_streams").mkdir()
    (tmp_path / "my_streams" / "telling.py").write_text(STREAM)
    monkeypatch.syspath_prepend(tmp_path)
    return "my_streams.telling"


def batches(streams, processes):
    settings = pipeline.Settings(streams, processes=processes, prefetch=2)
    return pipeline.batches(settings, miniature.PROCESSOR)


def test_processes_make_the_same_rows_and_go_on_for_each_other(telling):
    streams = {
        "a": {"source": telling, "batch": 4},
        "b": {"source": telling, "batch": 2, "offset": 100},
    }
    ours, theirs = batches(streams, 0), batches(streams, 2)
    makers = set()
    for _ in range(6):
        here, there = next(ours), next(theirs)
        for name in streams:
            np.testing.assert_array_equal(here[name]["index"], there[name]["index"])
            makers |= {*there[name]["maker"].tolist()}
    assert os.getpid() not in makers
    states = [json.dumps(one.get_state()) for one in (ours, theirs)]
    assert states[0] == states[1]
    next(theirs)
    theirs.set_state(json.loads(states[0]))
    np.testing.assert_array_equal(next(theirs)["b"]["index"], next(ours)["b"]["index"])
    state = theirs.get_state()
    ours = batches(streams, 0)
    ours.set_state(state)
    assert next(ours)["a"]["index"].tolist() == [28, 29, 30, 31]


def test_what_a_row_raises_comes_up_in_its_place(telling):
    it = batches({"a": {"source": telling, "batch": 2, "fails_at": 5}}, 1)
    assert [next(it)["a"]["index"].tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(LookupError, match="a bad day"):
        next(it)
    with pytest.raises(BridgeError, match="no more data after an error: streams.a: a"):
        next(it)


def test_a_killed_reader_is_told(telling):
    it = batches({"a": {"source": telling, "batch": 2}}, 1)
    os.kill(int(next(it)["a"]["maker"][0]), signal.SIGKILL)
    with pytest.raises(BridgeError, match="a reader process was killed.*--resume"):
        for _ in range(9):  # what was ready before comes first
            next(it)


def test_readers_end_with_the_process_that_reads(telling, tmp_path):
    script = tmp_path / "alone.py"
    script.write_text(LEFT_ALONE)
    here = [str(tmp_path), os.path.dirname(miniature.__file__), os.getcwd()]
    ended = subprocess.run(
        [sys.executable, script, *here], stdout=subprocess.PIPE, text=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    reader = int(ended.stdout)
    for _ in range(100):
        try:
            os.kill(reader, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail(f"process {reader} reads for nobody")
