"""Make once what frozen parts of stage 2 would compute in every step, and look at it.

bridge cache build --config configs/shapes_stage2.py --out runs/cache --rows 2048
bridge cache show runs/cache
bridge cache verify runs/cache
"""

import argparse
import importlib

from bridge_jax.cli import arguments

ACTIONS = ("build", "show", "verify")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name in ACTIONS:
        module = importlib.import_module(f"{__name__}.{name}")
        arguments.add_command(actions, name, module).set_defaults(act=module.run)


def run(args: argparse.Namespace) -> None:
    args.act(args)
