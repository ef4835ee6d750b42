"""Make once what frozen parts of stage 2 would compute in every step, and look at it.

bridge cache build --config configs/shapes_stage2.py --out runs/cache --rows 2048
bridge cache show runs/cache
bridge cache verify runs/cache
"""

import argparse

from bridge_jax.cli import arguments

ACTIONS = ("build", "show", "verify")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_actions(parser, __name__, ACTIONS)


def run(args: argparse.Namespace) -> None:
    args.act(args)
