"""Write the weights of a run or a preset to another folder, in any layout.

FORMAT flax is ours, model.safetensors and config.json: load it with `bridge_jax.load`,
start runs from it with --config.init_from, or read it with safetensors alone;
flax_msgpack holds the same as one file of flax's own kind. The others are those of
`bridge import`, for the programs that the layouts come from.

    bridge export flax runs/stage2 exported --dtype bfloat16
    bridge export flax runs/stage2 at500 --step 500
    bridge export qwen2_vl exported qwen
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError

OURS = ("flax", "flax_msgpack")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", help="flax, flax_msgpack, qwen2_vl, ...")
    parser.add_argument("source", help="work directory, folder with weights, or preset")
    parser.add_argument("out", type=Path)
    parser.add_argument("--force", action="store_true", help="replace weights there")
    parser.add_argument(
        "--step",
        type=arguments.natural,
        help="a checkpoint of the work directory instead of its finished weights"
        " (flax only)",
    )
    arguments.add_dtype(parser)
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    arguments.start(args)
    if args.format in OURS:
        _ours(args)
    else:
        _theirs(args)


def _ours(args: argparse.Namespace) -> None:
    from bridge_jax.checkpoint import msgpack_file, weights_file
    from bridge_jax.cli import saved_model

    packed = args.format == "flax_msgpack"
    holding = msgpack_file.WEIGHTS if packed else weights_file.WEIGHTS
    outputs.check_folder(args.out, args.force, holding=holding)
    dtypes = arguments.dtypes(args)
    found = saved_model.read(args.source, args.step).stored_as(dtypes)
    print(found.save(args.out, packed=packed))


def _theirs(args: argparse.Namespace) -> None:
    from bridge_jax.checkpoint import locate, weights_file
    from bridge_jax.convert import plan
    from bridge_jax.convert import run as convert

    form = plan.named(args.format)
    for path in convert.exported_in(form, args.out)[:1]:
        outputs.check_folder(args.out, args.force, holding=path.name)
    outputs.check_folder(args.out)
    source = locate.locate(args.source)
    if args.step is not None or arguments.dtypes(args):
        raise BridgeError(
            f"--step and --dtype are for flax: bridge export flax {args.source} FOLDER"
            f" first, then bridge export {args.format} FOLDER {args.out}"
        )
    if "base" in weights_file.read_own_config(source):
        raise BridgeError(
            f"{args.source} holds only what differs from a folder inside it: bridge"
            f" export flax {args.source} FOLDER first"
        )
    print(convert.export(args.format, source, args.out))
