"""A process that stands still takes the others with it, soon and loudly."""

import signal

import processes

from bridge_jax.core import runtime

STEPS = 8
ENDLESS = 100_000


def test_a_standing_process_is_told_with_its_stack(tmp_path):
    workdir = tmp_path / "run"
    started = processes.launch(
        workdir, 2, 2, ENDLESS, hang_seconds=8, ills={"stuck_after": STEPS}, ill=1
    )
    ended = processes.finish(started, 180)
    retried = {runtime.EXIT_HUNG, runtime.EXIT_ABORTED, -signal.SIGABRT}
    assert {code for code, _ in ended} <= retried
    assert ended[1][0] == runtime.EXIT_HUNG
    assert "no progress for" in ended[1][1] and "__next__" in ended[1][1]
    assert (workdir / "checkpoints" / str(STEPS)).is_dir()
