"""Compare our models and losses with a recorded run of their originals.

FIXTURE.npz holds weights under the original's tensor names, inputs, outputs and
gradients, FIXTURE.json beside it the sizes. Exits with 1 if anything is off.

    bridge parity tests/golden/bilm.npz
    bridge parity tests/golden/bilm.npz tests/golden/diffusion.npz --into README.md
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments, outputs

EXIT_DIFFERENT = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("fixtures", type=Path, nargs="+", metavar="FIXTURE.npz")
    parser.add_argument(
        "--into",
        type=Path,
        metavar="PAGE",
        help="put a summary between <!-- parity --> and <!-- /parity --> of this file",
    )
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    arguments.start(args)
    from bridge_jax.core import marks
    from bridge_jax.parity import fixture, table
    from bridge_jax.parity import run as parity

    results = {}
    for path in args.fixtures:
        given = fixture.read(path)
        results[given.name] = result = parity.run(given)
        print(f"{path}: {given.name}\n{table.text(result)}", flush=True)
    if args.into is not None:
        page = marks.insert(args.into, "parity", table.summary(results))
        outputs.write_text(args.into, page)
    if not all(result.holds for result in results.values()):
        raise SystemExit(EXIT_DIFFERENT)
