"""Check the checkpoints of a run: are their files still what was written?

`list` tells each step's size, time and state, `verify` reads every file and compares it
with the hashes written when the checkpoint was made. Exits with 1 if anything is off.

    bridge ckpt list runs/stage1
    bridge ckpt verify runs/stage1
"""

import argparse
import datetime
from pathlib import Path

EXIT_DAMAGED = 1
_SHOWN = 10  # faults of one step that are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "verify"))
    parser.add_argument("directory", type=Path, metavar="DIR", help="work directory")
    parser.add_argument("--step", type=int, help="this step alone")


def run(args: argparse.Namespace) -> None:
    from bridge_jax.checkpoint import folders, manifest

    steps = folders.find(args.directory, args.step)
    if args.action == "list":
        print(f"{'step':>10} {'MB':>10}  {'written':19}  state")
        for step in steps:
            written = datetime.datetime.fromtimestamp(step.written)
            size, when = step.size / 1e6, f"{written:%Y-%m-%d %H:%M:%S}"
            print(f"{step.name:>10} {size:10.1f}  {when}  {step.state}")
        return
    damaged = 0
    for step in steps:
        if step.state != folders.COMPLETE:
            print(f"step {step.name}: {step.state}, not read")
            continue
        faults = manifest.problems(step.path)
        damaged += bool(faults)
        print(f"step {step.name}: {f'{len(faults)} fault(s)' if faults else 'whole'}")
        for fault in faults[:_SHOWN]:
            print(f"  {fault}")
    if damaged:
        raise SystemExit(EXIT_DAMAGED)
