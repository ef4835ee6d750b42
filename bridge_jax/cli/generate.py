"""Draw pictures of prompts.

The model first rewrites a prompt into a caption, which is printed, and then draws that.

    bridge generate "a red circle left of a blue square" -o out.png
    bridge generate "two stars" "a green ring" -n 4 -o grid.png

    bridge generate "a blue star" --size 64x96 --negative "a yellow star" -o wide.png

-o may be an existing folder, which then gets 0000.png, 0001.png, ... A PNG carries, as
text, everything that it was drawn from.
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments, outputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompts", nargs="+", metavar="PROMPT")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        help="the picture, a grid if there are several, or a folder for them",
    )
    parser.add_argument("--force", action="store_true", help="replace what is there")
    arguments.add_drawing(parser)
    arguments.add_canvas(parser)
    parser.add_argument(
        "--condition",
        choices=("queries", "text"),
        default="queries",
        help="what guides the decoder: the aligner's learned queries, or mT5's reading"
        " of the caption, to compare (default: queries)",
    )
    parser.add_argument(
        "--no-rewrite",
        dest="rewrite",
        action="store_false",
        help="the prompts are captions already",
    )
    arguments.add_model(parser)


def run(args: argparse.Namespace) -> None:
    target = outputs.Pictures(args.out, args.n * len(args.prompts), args.force)
    model = arguments.load(args)
    drawings = model.generate(
        args.prompts,
        images_per_prompt=args.n,
        condition=args.condition,
        rewrite=args.rewrite,
        **arguments.drawing(args),
        **arguments.canvas(args),
    )
    for drawing in drawings:
        print(f"{drawing.prompt} -> {drawing.caption}")
        if drawing.note:
            print(f"  ({drawing.note})")
    stories = [model.story(drawing) for drawing in drawings]
    for path in target.save([drawing.images for drawing in drawings], stories):
        print(path)
