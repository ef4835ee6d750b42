"""Pretrain the parts that OmniBridge takes as given.

The same as `bridge train`, for configs whose entry is "pretrain".

    bridge pretrain --config configs/shapes_pretrain.py:vlm --workdir runs/vlm
"""

import argparse

from bridge_jax.cli import train

add_arguments = train.add_arguments


def run(args: argparse.Namespace) -> None:
    train.run(args, entries=("pretrain",))
