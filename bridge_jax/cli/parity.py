"""Compare our models and losses with a recorded run of their originals.

FIXTURE.npz holds weights under the original's tensor names, inputs, outputs and
gradients, FIXTURE.json beside it the sizes. Exits with 1 if anything is off.

    bridge parity tests/golden/bilm.npz
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments

EXIT_DIFFERENT = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("fixtures", type=Path, nargs="+", metavar="FIXTURE.npz")
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    arguments.start(args)
    from bridge_jax.parity import fixture, table
    from bridge_jax.parity import run as parity

    different = False
    for path in args.fixtures:
        given = fixture.read(path)
        result = parity.run(given)
        print(f"{path}: {given.name}\n{table.text(result)}", flush=True)
        different |= not result.holds
    if different:
        raise SystemExit(EXIT_DIFFERENT)
