"""Measure something that the README claims, here and now.

`conversion` needs room for three copies of the model (7b: 50 GB); --layers cuts it.

    bridge bench conversion --workdir runs/conversion --size 7b
    bridge bench conversion --workdir runs/conversion --size 2b --layers 4
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments, outputs

SUITES = ("conversion",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--size", default="7b", help="of Qwen2-VL: 2b, 7b, 72b")
    parser.add_argument("--layers", type=int, default=0, help="0: all of them")
    parser.add_argument(
        "--into",
        type=Path,
        metavar="PAGE",
        help="put the table between <!-- conversion --> and <!-- /conversion -->",
    )
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    outputs.check_folder(args.workdir)
    arguments.start(args)
    from bridge_jax.bench import conversion
    from bridge_jax.core import marks

    table = conversion.markdown(
        conversion.measure(args.workdir, args.size, args.layers)
    )
    print(table)
    if args.into is not None:
        outputs.write_text(args.into, marks.insert(args.into, "conversion", table))
