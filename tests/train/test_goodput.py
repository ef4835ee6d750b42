"""The record of a run's time adds up, over restarts too."""

import json

import pytest
import toy

from bridge_jax.core import hardware
from bridge_jax.train import goodput, loop


class Clock:
    """`time` as far as the ledger uses it, moved by hand."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(goodput, "time", clock)
    return clock


def spend(ledger, clock, kind, seconds):
    with ledger.spending(kind):
        clock.now += seconds


def first_start(folder, clock):
    """10 s until the first step, 8 s of steps saved at step 2, then 5 s more."""
    ledger = goodput.Ledger(folder, began=96.0)
    clock.now += 6.0
    ledger.charge("step")
    clock.now += 7.0
    spend(ledger, clock, "data", 1.0)
    clock.now += 1.0
    with ledger.spending("checkpoint"):
        ledger.saved(2)
        clock.now += 3.0
    clock.now += 5.0
    ledger.write()
    return ledger


def test_every_second_is_charged_once(tmp_path, clock):
    ledger = first_start(tmp_path, clock)
    wanted = {"init": 10.0, "step": 13.0, "data": 1.0, "checkpoint": 3.0}
    assert ledger.seconds() == wanted | {"other": 0.0, "lost": 0.0}
    assert sum(ledger.seconds().values()) == clock.now - 96.0
    assert ledger.goodput() == 13 / 27


def test_steps_after_the_checkpoint_are_lost_by_a_restart(tmp_path, clock):
    first_start(tmp_path, clock)
    again = goodput.Ledger(tmp_path)
    again.resume(2)
    clock.now += 2.0
    again.charge("step")
    clock.now += 4.0
    seconds = again.seconds()
    assert (seconds["init"], seconds["step"], seconds["lost"]) == (12.0, 12.0, 5.0)


def test_all_steps_are_lost_without_a_checkpoint(tmp_path, clock):
    first_start(tmp_path, clock)
    again = goodput.Ledger(tmp_path)
    again.resume(0)
    assert again.seconds()["lost"] == 13.0 and again.seconds()["step"] == 0.0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seconds": 3, "saved": {}}'])
def test_a_damaged_record_is_begun_anew(tmp_path, clock, text):
    (tmp_path / goodput.FILE).write_text(text)
    ledger = goodput.Ledger(tmp_path)
    ledger.resume(2)
    assert set(ledger.seconds().values()) == {0.0}


def test_runs_report_their_goodput(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(hardware.PEAKS, "cpu", hardware.Peak(1e12, 1.0, 1.0))
    loop.train(toy.run(tmp_path, 4))
    told = json.loads((tmp_path / goodput.FILE).read_text())
    assert set(told["seconds"]) == set(goodput.KINDS)
    assert all(told["seconds"][kind] > 0 for kind in ("init", "data", "step"))
    assert list(told["saved"]) == ["4"]
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert 0 < record["goodput"] < 1
        share = record["flops_per_second"] / 1e12
        assert record["mfu"] == pytest.approx(share)
    assert "goodput: " in capsys.readouterr().out

    loop.train(toy.run(tmp_path, 8, resume=True))
    later = json.loads((tmp_path / goodput.FILE).read_text())
    assert later["seconds"]["init"] > told["seconds"]["init"]
    assert later["seconds"]["lost"] == 0.0 and list(later["saved"]) == ["4", "8"]
