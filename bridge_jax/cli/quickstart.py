"""Look at the shipped model, train both stages live, and compare.

Ends with a table, WORKDIR/report.html and WORKDIR/metrics.json. Run again with the same
work directory, it goes on where it stopped.

    bridge quickstart --workdir runs/quickstart
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments, outputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workdir",
        type=Path,
        default=Path("runs/quickstart"),
        help="default: %(default)s",
    )
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="a few steps and items of everything, only to see that it runs",
    )
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    outputs.check_folder(args.workdir)
    arguments.start(args)
    from bridge_jax.cli import tour

    tour.run(args.workdir, tour.TINY if args.tiny else tour.LIVE)
