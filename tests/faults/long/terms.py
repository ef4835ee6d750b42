"""SIGTERM: every process saves at one step and asks to be started again."""

import functools
import random
import signal
import time

import trials

GROUPS = {1: "SIGTERM, 1 process", 4: "SIGTERM of one of 4 processes"}
# Places where it arrives; at the last ones it comes before anybody listens.
HEARD = ("step", "folder", "arrays", "hashes", "unlisted", "listed", "renamed")
UNHEARD = ("compiling", "start")


def all_trials():
    """36 of one process, 14 of four, 50 in all."""
    for turn in range(3):
        for point in HEARD + UNHEARD:
            yield _trial(1, point, turn)
    for turn in range(9):
        yield trials.Trial(
            GROUPS[1], f"random {turn}", functools.partial(_random, turn)
        )
    for turn in range(2):
        for point in HEARD:
            yield _trial(4, point, turn)


def _trial(count, point, turn):
    run = functools.partial(_at, count, point, turn)
    return trials.Trial(GROUPS[count], f"{point} {turn}", run)


def _at(count, point, turn, workdir):
    nth = 1 + turn
    ill = turn % count if point in ("step", "arrays", "hashes") else 0
    ills = {"die": {"at": point, "nth": nth if point not in UNHEARD else 1}}
    ills["die"]["signal"] = signal.SIGTERM
    ills["pause"] = 0.1
    started = trials.start(workdir, count, 2, ills=ills, ill=ill)
    return _ended(workdir, started, trials.died(workdir) == point, point, count)


def _random(turn, workdir):
    started = trials.start(workdir, 1, 2, ills={"pause": 0.5})
    time.sleep(random.Random(turn).uniform(0.0, 4.0))
    struck = started[0].code is None
    started[0].send(signal.SIGTERM)
    if turn % 3 == 0 and started[0].code is None:
        started[0].send(signal.SIGTERM)  # twice is once
    return _ended(workdir, started, struck, "start", 1)


def _ended(workdir, started, struck, point, count):
    for process in started:
        process.wait(120)
    codes = {process.code for process in started}
    struck = struck or trials.died(workdir) == point
    # Before the run listens it dies of the signal, as any program does.
    wanted = {42} if point in HEARD else {42, -signal.SIGTERM}
    saved = [line for line in started[0].said.splitlines() if "interrupted" in line]
    exact, note = trials.resumed_exactly(workdir, count, 2)
    exact = exact and codes <= wanted and (codes != {42} or len(saved) == 1)
    return trials.Outcome(struck, exact, f"exit codes {sorted(codes)}, {note}")
