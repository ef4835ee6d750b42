"""Answer a question about pictures.

bridge chat scene.png "what color is the circle?"
bridge chat "what can you do?"                      (no picture)
"""

import argparse
import os

from bridge_jax.cli import arguments
from bridge_jax.core.errors import BridgeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="pictures, in order")
    parser.add_argument("question", help="the question, after the pictures")
    parser.add_argument(
        "--max-new-tokens",
        type=arguments.positive,
        default=64,
        help="longest answer (default: 64)",
    )
    parser.add_argument(
        "--temperature",
        type=arguments.number,
        default=0.0,
        help="0 takes the likeliest word each time (default: 0)",
    )
    parser.add_argument("--seed", type=arguments.natural, default=0, help="default: 0")
    arguments.add_model(parser)


def run(args: argparse.Namespace) -> None:
    if os.path.isfile(args.question):  # a question may be too long for a path
        raise BridgeError(
            f"{args.question} is a picture and not a question; put the question last"
        )
    model = arguments.load(args)
    [answer] = model.chat(
        [list(args.images) or None],
        [args.question],
        max_new_tokens=args.max_new_tokens,
        temperature=args.temperature,
        seed=args.seed,
    )
    print(answer.text)
