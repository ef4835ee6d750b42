"""Other numbers of processes, one after the other, are the same run."""

import functools

import processes
import pytest
import trials

GROUP = "process counts, 4 -> 2 -> 1 -> 4 and all other orders"
ORDERS = ((4, 2, 1, 4), (1, 4, 2, 1), (2, 4, 1, 2), (1, 2, 4, 1), (4, 1, 2, 4))
NAMES = ("loss", "fit", "size", "gradient_norm")


def all_trials():
    """Each with three changes and eight devices throughout."""
    for order in ORDERS:
        name = "-".join(map(str, order))
        yield trials.Trial(GROUP, name, functools.partial(_changing, order))


def _changing(order, workdir):
    figures, _ = trials.reference(workdir, 1, 8)
    seen = set()
    for part, count in enumerate(order):
        end = 3 * (part + 1)
        found, _ = processes.run(workdir, count, 8 // count, end, resume="auto")
        seen |= found.keys()
        for step, mine in found.items():
            for name in NAMES:
                wanted = pytest.approx(figures[step][name], rel=1e-6, abs=1e-7)
                if mine[name] != wanted:
                    return trials.Outcome(True, False, f"{name} of step {step}")
    whole = seen == set(range(1, trials.STEPS + 1))
    return trials.Outcome(True, whole, "losses within 1e-6 of one process")
