"""Training data: what files hold, before a model reads them.

bridge data inspect mine.jsonl
bridge data inspect configs/shapes_stage1.py -o data.html
"""

import argparse

from bridge_jax.cli import arguments

ACTIONS = ("inspect",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_actions(parser, __name__, ACTIONS)


def run(args: argparse.Namespace) -> None:
    args.act(args)
