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
    parser.add_argument(
        "--top-k",
        type=arguments.natural,
        default=0,
        help="draw from the K likeliest alone (default: 0, from all)",
    )
    parser.add_argument(
        "--top-p",
        type=arguments.number,
        default=1.0,
        help="draw from the likeliest that make up P together (default: 1)",
    )
    parser.add_argument(
        "--min-p",
        type=arguments.number,
        default=0.0,
        help="draw from those with P times the likeliest's chance (default: 0)",
    )
    parser.add_argument(
        "--repetition-penalty",
        type=arguments.number,
        default=1.0,
        help="above 1 repeats less (default: 1)",
    )
    parser.add_argument("--seed", type=arguments.natural, default=0, help="default: 0")
    parser.add_argument(
        "--stop",
        action="append",
        default=[],
        metavar="TEXT",
        help="end the answer where this would begin; may be given several times",
    )
    parser.add_argument(
        "--logprobs",
        type=arguments.natural,
        metavar="N",
        help="tell each token's log-probability, and those of the N likeliest",
    )
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
        top_k=args.top_k,
        top_p=args.top_p,
        min_p=args.min_p,
        repetition_penalty=args.repetition_penalty,
        seed=args.seed,
        stop=args.stop,
        logprobs=args.logprobs,
    )
    print(answer.text)
    for one in answer.logprobs or ():
        print(
            "  ".join(f"{s.text!r} {s.log_probability:.3f}" for s in (one, *one.others))
        )
