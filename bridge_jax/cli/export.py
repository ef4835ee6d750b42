"""Write the weights of a run or a preset to another folder.

The result is model.safetensors and config.json: load it with `bridge_jax.load`, start
runs from it with --config.init_from, or read it with safetensors alone.

    bridge export runs/stage2 exported --dtype bfloat16
    bridge export runs/stage2 at500 --step 500
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments, outputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="work directory, folder with weights, or preset")
    parser.add_argument("out", type=Path)
    parser.add_argument("--force", action="store_true", help="replace weights there")
    parser.add_argument(
        "--step",
        type=arguments.natural,
        help="a checkpoint of the work directory instead of its finished weights",
    )
    arguments.add_dtype(parser)
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    arguments.start(args)
    from bridge_jax.checkpoint import weights_file
    from bridge_jax.cli import saved_model

    outputs.check_folder(args.out, args.force, holding=weights_file.WEIGHTS)
    dtypes = arguments.dtypes(args)
    found = saved_model.read(args.source, args.step)
    print(found.stored_as(dtypes).save(args.out))
