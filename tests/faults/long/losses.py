"""Steps that are not finite, or out of proportion, change nothing on any process."""

import functools
import random
from pathlib import Path

import processes
import trials

COUNTS = {1: "1 process", 4: "4 processes"}
SINGLE = "NaN, Inf or a spike, {}"
ROLLED = "NaN in a row until the run goes back, {}"
VALUES = {"nan": "nan", "inf": "inf", "overflow": "1e30", "spike": "1e6"}
PATIENCE = 4  # also after how many steps the loop looks


def all_trials():
    """24 of single steps, six of rows of them."""
    for count in (1, 4):
        for turn in range(3):
            for kind in VALUES:
                run = functools.partial(_single, count, kind, turn)
                yield trials.Trial(SINGLE.format(COUNTS[count]), f"{kind} {turn}", run)
        for turn in range(3):
            run = functools.partial(_row, count, turn)
            yield trials.Trial(ROLLED.format(COUNTS[count]), str(turn), run)


def _single(count, kind, turn, workdir):
    draw = random.Random(f"{kind} {turn}")
    # A spike is told once half of the window, four steps, is known.
    at = sorted(draw.sample(range(6, trials.STEPS), 2))
    ills = {"poison": {"at": at, "value": VALUES[kind]}}
    given = {"ills": ills, "ill": turn % count, "spikes": 6.0, "traced": True}
    processes.run(workdir, count, 2, trials.STEPS, **given)
    states = [_states(workdir, index) for index in range(count)]
    still = [
        [step for step in sorted(one) if step > 1 and one[step] == one[step - 1]]
        for one in states
    ]
    told = [one["step"] for one in processes.records(workdir) if one["skipped"]]
    exact = told == at and all(one == at for one in still)
    return trials.Outcome(bool(told), exact, f"steps {at}, unchanged {still[0]}")


def _row(count, turn, workdir):
    at = list(range(5 + turn, 7 + PATIENCE))
    ills = {"poison": {"at": at, "value": "nan"}}
    given = {"ills": ills, "ill": turn % count, "patience": PATIENCE, "rollbacks": 2}
    _, said = processes.run(workdir, count, 2, trials.STEPS, **given)
    back = [line for line in said.splitlines() if "back to step" in line]
    done = processes.records(workdir)[-1]["step"] == trials.STEPS
    return trials.Outcome(bool(back), done, back[0] if back else "never went back")


def _states(workdir, index):
    """Step -> digest of what one process holds, but for counters."""
    lines = Path(f"{workdir}.states.{index}").read_text().splitlines()
    return {int(step): digest for step, digest in (line.split() for line in lines)}
