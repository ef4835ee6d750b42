"""kill -9 in a save, and anywhere: of one process, and of four at once."""

import functools
import random
import signal
import time

import afflictions
import trials

NAMED = "kill -9 at a named place of a save, {}"
RANDOM = "kill -9 at a random moment, {}"
COUNTS = {1: "1 process", 4: "4 processes"}


def all_trials():
    """140 named and 40 random ones of one process, 28 and 12 of four."""
    for count, rounds, moments in ((1, 20, 40), (4, 4, 12)):
        for turn in range(rounds):
            for point in afflictions.SAVING:
                yield trials.Trial(
                    NAMED.format(COUNTS[count]),
                    f"{point} {turn}",
                    functools.partial(_named, point, turn, count),
                )
        for turn in range(moments):
            yield trials.Trial(
                RANDOM.format(COUNTS[count]),
                str(turn),
                functools.partial(_random, turn, count),
            )


def _named(point, turn, count, workdir):
    # A step is deleted first at the third save; many hashes are taken in each.
    nth = 1 + turn % (3 if point == "deleting" else 5)
    nth *= 7 if point == "hashes" else 1
    # Only the first process makes, lists, renames and deletes.
    ill = turn % count if point in ("arrays", "hashes") else 0
    ills = {"die": {"at": point, "nth": nth}}
    started = trials.start(workdir, count, 2, ills=ills, ill=ill)
    started[ill].wait(120)
    struck = trials.died(workdir) == point and started[ill].code == -signal.SIGKILL
    _kill(started)
    exact, note = trials.resumed_exactly(workdir, count, 2)
    return trials.Outcome(struck, exact, f"nth {nth}, {note}")


def _random(turn, count, workdir):
    """Between the first checkpoint's appearance and the end, most of it saving."""
    draw = random.Random(turn)
    started = trials.start(workdir, count, 2, ills={"pause": 0.1}, ill="all")
    folder = workdir / "checkpoints"
    end = time.monotonic() + 120
    while not (folder.is_dir() and any(folder.iterdir())):
        assert time.monotonic() < end, started[0].said[-600:]
        time.sleep(0.002)
    time.sleep(draw.uniform(0, 1.5))
    running = started[0].code is None
    _kill(started)
    saving = any("orbax-checkpoint-tmp" in path.name for path in folder.iterdir())
    exact, note = trials.resumed_exactly(workdir, count, 2)
    note = f"{'in' if saving else 'between'} saves, {note}"
    return trials.Outcome(running, exact, note)


def _kill(started):
    for process in started:
        if process.code is None:
            process.send(signal.SIGKILL)
    for process in started:
        process.wait(20)
