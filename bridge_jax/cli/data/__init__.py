"""Training data: what files hold, before a model reads them.

bridge data inspect mine.jsonl
bridge data inspect configs/shapes_stage1.py -o data.html
"""

import argparse
import importlib

from bridge_jax.cli import arguments

ACTIONS = ("inspect",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name in ACTIONS:
        module = importlib.import_module(f"{__name__}.{name}")
        arguments.add_command(actions, name, module).set_defaults(act=module.run)


def run(args: argparse.Namespace) -> None:
    args.act(args)
