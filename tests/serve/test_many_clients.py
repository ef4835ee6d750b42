"""The benchmark of serving counts what clients are told; times are not tested."""

import contextlib
import os

import running
import stand_in

from bridge_jax.bench import serving
from bridge_jax.serve import served
from bridge_jax.serve.limits import Limits
from bridge_jax.serve.security import Security


def test_all_are_answered_or_counted(monkeypatch):
    """Those who are told to wait ask again."""
    backend = stand_in.StandIn()
    backend.tasks = frozenset({"chat", "draw"})  # nothing is embedded
    made = served.Served(backend, "stand-in", Limits(rows=1, waiting=1))

    @contextlib.contextmanager
    def started(model):
        with running.server(made, Security()) as address:
            yield os.getpid(), address.removeprefix("http://")

    monkeypatch.setattr(serving, "_server", started)
    monkeypatch.setattr(serving.time, "sleep", lambda seconds: None)
    result = serving.measure(clients=8, rounds=2, each=2)
    assert (result.answered, result.refused) == (24, 8)  # two of eight embed
    assert len(result.seconds) == len(result.memory) == 2 and min(result.memory) > 0


def test_the_table():
    result = serving.Result(50, 800, 0, (2.0, 4.0, 1.0), (10**9, 10**9, 2 * 10**9))
    told = serving.markdown(result).splitlines()[-1]
    assert told == "| 50 | 3 | 800 | 0 | 133.3 | 1,000 | 2,000 |"
    assert serving.markdown(result).startswith("| clients at once | rounds |")
    assert "| MB after round 1 | 3 |" in serving.markdown(result)
