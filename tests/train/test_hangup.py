"""A training whose terminal is closed saves first; `nohup` makes it not mind."""

import os
import pty
import subprocess
import sys

from bridge_jax.checkpoint import manager

PROGRAM = """
import fcntl, pathlib, signal, sys, termios, time
import toy
from bridge_jax.core import log
from bridge_jax.train import loop

if "untold" not in sys.argv:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # told when that terminal is closed
# Whoever runs the tests may ignore it, and it is inherited.
ignored = "nohup" in sys.argv
signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)

class Slowly:
    every = 1
    def __call__(self, step, state, figures):
        log.say(f"step {step}")
        time.sleep(0.05)

steps = int(sys.argv[2])
loop.train(toy.run(pathlib.Path(sys.argv[1]), steps, hooks=[Slowly()]))
"""


def hang_up(workdir, steps, *how):
    """The exit code of a training whose terminal goes after its second step."""
    ours, theirs = pty.openpty()
    nohup = "nohup" in how  # which writes to a file, or a pipe
    reads, writes = os.pipe() if nohup else (ours, theirs)
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(workdir), str(steps), *how],
        stdin=theirs,
        stdout=writes,
        stderr=writes,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.close(theirs)
    if nohup:
        os.close(writes)
    said = b""
    while b"step 2" not in said:
        new = os.read(reads, 4096)
        assert new, said
        said += new
    os.close(ours)
    code = started.wait(60)
    if nohup:
        os.close(reads)
    return code


def test_a_closed_terminal_saves_the_run(tmp_path):
    assert hang_up(tmp_path, 1000) == 42
    assert 2 <= manager.open_existing(tmp_path).latest() < 1000


def test_what_is_said_before_the_signal_comes_does_not_end_the_run(tmp_path):
    """Here none comes at all, and every word from then on has nowhere to go."""
    assert hang_up(tmp_path, 20, "untold") == 0
    assert manager.open_existing(tmp_path).latest() == 20


def test_nohup_goes_on_without_its_terminal(tmp_path):
    assert hang_up(tmp_path, 20, "nohup") == 0
    assert manager.open_existing(tmp_path).latest() == 20
