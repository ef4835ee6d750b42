"""Put one model together from parts of others.

A part may be narrowed to what stands below a path, as in vlm/llm=FOLDER.

    bridge assemble bundle --part vlm=runs/stage1 --part dit=runs/dit --dtype bfloat16
"""

import argparse
import functools
from pathlib import Path

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError


def _assignment(text: str) -> tuple[str, str]:
    path, _, source = text.partition("=")
    if not (path and source):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form PART=FOLDER")
    return path, source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--part",
        dest="parts",
        type=_assignment,
        action="append",
        required=True,
        metavar="PART=FOLDER",
        help="vlm, projector, aligner, retrieval, mt5, bert, dit or vae, and the"
        " folder, work directory or preset it comes from; once for each part",
    )
    parser.add_argument(
        "--onto",
        metavar="NAME",
        help="OUT holds only what differs from its folder NAME, which is there",
    )
    parser.add_argument("--force", action="store_true", help="replace weights there")
    arguments.add_dtype(parser)
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    arguments.start(args)
    from bridge_jax.checkpoint import weights_file
    from bridge_jax.cli import saved_model

    outputs.check_folder(args.out, args.force, holding=weights_file.WEIGHTS)
    dtypes = arguments.dtypes(args)
    if args.onto is not None:
        weights_file.open_file(args.out / args.onto)
    read = functools.cache(saved_model.read)  # several parts of one folder
    pieces = []
    for path, source in args.parts:
        try:
            pieces.append(read(source).below(path))
        except BridgeError as error:
            raise BridgeError(f"--part {path}={source}: {error}") from None
    whole = functools.reduce(saved_model.SavedModel.merged, pieces)
    print(whole.stored_as(dtypes).save(args.out, onto=args.onto))
