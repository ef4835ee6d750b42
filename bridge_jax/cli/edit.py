"""Change a picture as an instruction says.

The model first writes the caption of the edited picture, which is printed, and then
draws that.

    bridge edit scene.png "make the circle blue" -o edited.png
    bridge edit scene.png "make the circle blue" --strength 0.6 -o closer.png

The less the strength, the more of the picture stays where it is.
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments, outputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument("instruction")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        help="the picture, a grid if there are several, or a folder for them",
    )
    parser.add_argument("--force", action="store_true", help="replace what is there")
    arguments.add_drawing(parser)
    arguments.add_canvas(parser, "source")
    parser.add_argument(
        "--strength",
        type=arguments.share,
        default=1.0,
        help="1 draws anew, less starts from the picture itself under so much noise"
        " (default: %(default)s)",
    )
    arguments.add_model(parser)


def run(args: argparse.Namespace) -> None:
    target = outputs.Pictures(args.out, args.n, args.force)
    model = arguments.load(args)
    [edited] = model.edit(
        [args.image],
        [args.instruction],
        images_per_edit=args.n,
        strength=args.strength,
        **arguments.drawing(args),
        **arguments.canvas(args),
    )
    print(f"{edited.instruction} -> {edited.caption}")
    if edited.note:
        print(f"  ({edited.note})")
    for path in target.save([edited.images], [model.story(edited)]):
        print(path)
