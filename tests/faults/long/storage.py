"""Storage that fails is told within a save, and the last good step restores."""

import functools
import re
import signal

import trials

GROUP = "storage that fails while a run writes"
TOLD = re.compile(r"bridge: cannot (write|save|finish saving)")


def _unwritable(path):
    return {"unwritable_after": {"step": 5, "path": path}}


FAULTS = {
    "full after 4, 1 process": (1, {"full_after": 4}),
    "full after 5, 1 process": (1, {"full_after": 5}),
    "full after 5, 4 processes": (4, {"full_after": 5}),
    "full for one of 4 processes": (4, {"full_after": 5}),
    "read-only checkpoints, 1 process": (1, _unwritable("checkpoints")),
    "read-only checkpoints, 4 processes": (4, _unwritable("checkpoints")),
    "read-only records": (1, _unwritable("metrics.jsonl")),
    "no more open files": (1, {"unopened_after": 5}),
}


def all_trials():
    """Eight of them."""
    for name in FAULTS:
        yield trials.Trial(GROUP, name, functools.partial(_fail, name))


def _fail(name, workdir):
    count, ills = FAULTS[name]
    ill = 1 if "one of" in name else "all"
    started = trials.start(workdir, count, 2, ills=ills | {"pause": 0.3}, ill=ill)
    for process in started:
        process.wait(120)
    codes = {process.code for process in started}
    said = "".join(process.said for process in started)
    told = [line for line in said.splitlines() if TOLD.search(line)]
    # A process whose neighbour ended may find that out before it is told why.
    wanted = {2, 134, -signal.SIGABRT}
    (workdir / "checkpoints").chmod(0o755)
    (workdir / "metrics.jsonl").chmod(0o644)
    exact, note = trials.resumed_exactly(workdir, count, 2)
    note = f"{note}: {told[0] if told else codes}"
    return trials.Outcome(bool(told) and 2 in codes, exact and codes <= wanted, note)
