"""The long set: `python tests/faults/long [--workdir DIR] [--only KIND] [--into FILE]`.

What is done is not done again, so that it can be stopped at any time.
"""

import argparse
import importlib
import os
import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parents[1]), str(_HERE.parents[2])]
os.environ.update(
    JAX_PLATFORMS="cpu",
    NPROC="32",
    XLA_FLAGS="--xla_force_host_platform_device_count=8",
)

KINDS = (
    "kills",
    "terms",
    "hosts",
    "counts",
    "meshes",
    "corruptions",
    "storage",
    "losses",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--workdir", type=Path, default=Path("runs/faults"))
    parser.add_argument("--only", choices=KINDS, nargs="*", default=KINDS)
    parser.add_argument("--most", type=int, help="trials of each kind, for a try")
    parser.add_argument("--into", type=Path, help="write the table of all kinds here")
    args = parser.parse_args()
    import trials

    book = trials.Book(args.workdir.resolve())
    groups = []
    for kind in KINDS:
        found = list(importlib.import_module(kind).all_trials())
        groups += dict.fromkeys(trial.group for trial in found)
        for trial in found[: args.most] if kind in args.only else ():
            book.run(trial)
    table = book.markdown(groups)
    print(table)
    if args.into:
        args.into.write_text(f"{_HEAD}\n\n{table}\n")
    failed = [one for one in book.records.values() if not one["exact"]]
    missed = [one for one in book.records.values() if not one["struck"]]
    for one in failed + missed:
        print(one, file=sys.stderr)
    sys.exit(bool(failed or missed))


_HEAD = """# The long set of fault tests

Made by `bash launch/faults.sh`, on simulated CPU devices. *Struck*: the fault came
where it was meant to come. *Exact*: no finished save was lost, and what was saved went
on to the same figures at every step and the same last state, to the bit; with other
numbers of processes, to 1e-6."""

if __name__ == "__main__":
    main()
