"""One of four processes is lost: the others end soon, and all go on together."""

import functools
import signal
import time

import processes
import trials

GROUP = "one of 4 processes lost, by phase"
PHASES = ("start", "compiling", "step", "arrays", "restoring", "end")
SECONDS = 45  # heartbeat, and what four processes on few cores need to notice


def all_trials():
    """Each phase twice: of the first process, which coordinates, and of the last."""
    for phase in PHASES:
        for ill in (0, 3):
            run = functools.partial(_lost, phase, ill)
            yield trials.Trial(GROUP, f"{phase} {ill}", run)


def _lost(phase, ill, workdir):
    if phase == "restoring":
        processes.run(workdir, 4, 2, trials.STEPS // 2)
    ills = {"die": {"at": phase, "nth": 5 if phase == "step" else 1}}
    started = trials.start(workdir, 4, 2, ills=ills, ill=ill, startup=20)
    started[ill].wait(120)
    struck = trials.died(workdir) == phase
    began = time.monotonic()
    others = [one for index, one in enumerate(started) if index != ill]
    for process in others:
        process.wait(SECONDS)
    seconds = time.monotonic() - began
    # At the very end there may be nothing left to do together.
    wanted = {134, -signal.SIGABRT} | ({0} if phase == "end" else set())
    codes = {process.code for process in others}
    exact, note = trials.resumed_exactly(workdir, 4, 2)
    note = f"exit codes {sorted(codes)} after {seconds:.0f} s, {note}"
    return trials.Outcome(struck, exact and codes <= wanted, note)
