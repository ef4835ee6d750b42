"""List the layouts that `bridge import` reads and `bridge export` writes.

Each is a file in bridge_jax/convert/formats.

    bridge formats
    bridge formats --into README.md
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--into",
        type=Path,
        metavar="PAGE",
        help="put the table between <!-- formats --> and <!-- /formats --> of this"
        " file, instead of printing it",
    )


def run(args: argparse.Namespace) -> None:
    from bridge_jax.cli import outputs
    from bridge_jax.convert import catalogue
    from bridge_jax.core import marks

    table = catalogue.markdown()
    if args.into is None:
        print(table)
        return
    outputs.write_text(args.into, marks.insert(args.into, catalogue.MARK, table))
    print(args.into)
