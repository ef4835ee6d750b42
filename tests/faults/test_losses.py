"""A process that dies or stands still takes the others with it, soon and loudly; what
was saved before goes on as if nothing had happened."""

import os
import re
import signal
import time

import processes
import pytest

from bridge_jax.core import runtime

STEPS = 8
ENDLESS = 100_000


def wait_for(path, seconds=120):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.05)


def test_a_killed_process_ends_the_others_and_the_run_resumes(tmp_path):
    workdir = tmp_path / "run"
    started = processes.launch(workdir, 2, 2, ENDLESS)
    wait_for(workdir / "checkpoints" / "4")
    os.kill(started[1].pid, signal.SIGKILL)
    killed = time.monotonic()
    ended = processes.finish(started, processes.HEARTBEAT + 60)
    took = time.monotonic() - killed
    assert took < processes.HEARTBEAT + 10, took
    assert ended[1][0] == -signal.SIGKILL
    # By our own hand, or by jax's: a shell reports SIGABRT as 134, too.
    assert ended[0][0] in (runtime.EXIT_ABORTED, -signal.SIGABRT), ended[0][1][-2000:]
    [*_, last] = sorted(
        int(path.name)
        for path in (workdir / "checkpoints").iterdir()
        if path.name.isdigit()
    )
    losses, said = processes.run(workdir, 2, 2, last + STEPS, resume=True)
    whole, _ = processes.run(tmp_path / "whole", 2, 2, last + STEPS)
    assert "resumed from step" in said and losses
    for step, figures in losses.items():
        for name in ("loss", "gradient_norm"):
            assert figures[name] == whole[step][name], (step, name)  # to the bit


@pytest.mark.parametrize(("count", "full_after"), [(1, 4), (1, 5), (2, 5)])
def test_a_full_disk_is_told_within_a_save_and_loses_nothing(
    count, full_after, tmp_path
):
    """Saves are due at every second step, figures at every second, too."""
    workdir = tmp_path / "run"
    started = processes.launch(
        workdir, count, 4 // count, ENDLESS, pause=0.3, full_after=full_after
    )
    ended = processes.finish(started)
    codes = {code for code, _ in ended}
    assert runtime.EXIT_BAD_INPUT in codes, codes
    assert codes <= {runtime.EXIT_BAD_INPUT, runtime.EXIT_ABORTED, -signal.SIGABRT}
    told = "".join(text for _, text in ended)
    assert re.search(r"bridge: cannot (write|save|finish saving)", told), told[-2000:]
    steps = [path.name for path in (workdir / "checkpoints").iterdir()]
    whole = max(int(name) for name in steps if name.isdigit())
    assert whole >= full_after - full_after % 2 - 2
    losses, _ = processes.run(workdir, count, 4 // count, whole + 4, resume=True)
    assert losses.keys() == set(range(whole + 1, whole + 5))


def test_a_standing_process_is_told_with_its_stack(tmp_path):
    workdir = tmp_path / "run"
    started = processes.launch(
        workdir, 2, 2, ENDLESS, hang_seconds=8, stuck_after=STEPS
    )
    ended = processes.finish(started, 180)
    retried = {runtime.EXIT_HUNG, runtime.EXIT_ABORTED, -signal.SIGABRT}
    assert {code for code, _ in ended} <= retried
    assert ended[1][0] == runtime.EXIT_HUNG
    assert "no progress for" in ended[1][1] and "__next__" in ended[1][1]
    assert (workdir / "checkpoints" / str(STEPS)).is_dir()
