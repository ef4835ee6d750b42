"""The benchmark of search compares ways that agree; times are no test's business."""

import pytest

from bridge_jax.bench import search
from bridge_jax.cli import main
from bridge_jax.core.errors import BridgeError

RESULT = search.Result(
    1000, 100, 32, 10, {"ours": (0.2, 0.4, 0.3)}, {"ours": 440_000}, (1e11, 1e11)
)


def test_all_ways_are_timed_and_agree(tmp_path, monkeypatch):
    monkeypatch.setattr(
        search, "_peak", lambda *given: search._searched(given[0], *given[1:])
    )
    monkeypatch.setattr(search, "_SQUARE", 64)
    monkeypatch.setattr("bridge_jax.retrieval.exact.FEW", 0)
    result = search.measure(tmp_path / "w", 500, 16, queries=3, k=4, rounds=2)
    assert result.seconds.keys() == search.WAYS.keys() == result.memory.keys()
    assert all(len(times) == 2 and min(times) > 0 for times in result.seconds.values())
    assert min(result.memory.values()) > 1 << 20 and min(result.flops) > 0
    with pytest.raises(BridgeError, match="another shape"):
        search.measure(tmp_path / "w", 400, 16)
    monkeypatch.setitem(
        search.WAYS, "numpy", lambda *given: search._numpy(*given)[:, ::-1] * 0
    )
    with pytest.raises(BridgeError, match="do not find the same"):
        search.measure(tmp_path / "w", 500, 16)


def test_the_table_judges_by_the_median():
    table = search.markdown(RESULT)
    assert "| ours | 0.30 s | 0.20 s | 0.0 | 0.00 GB, 1.10 x the vectors |" in table
    assert "1.2 x: met" in table and "0.100 TFLOP/s" in table


def test_it_needs_room(capsys):
    assert main.main(["bench", "search"]) == 2
    assert "give it --workdir" in capsys.readouterr().err
