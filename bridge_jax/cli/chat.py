"""Answer questions about pictures and videos.

bridge chat scene.png "what color is the circle?"
bridge chat "what can you do?"                      (no picture)
bridge chat scene.png -                             (a conversation: a question a line)
bridge chat --video turning.gif "what turns?"
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from bridge_jax.cli import arguments
from bridge_jax.core.errors import BridgeError

KEYBOARD = "-"  # in place of a question


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="pictures, in order")
    parser.add_argument(
        "question",
        help=f"the question, after the pictures; {KEYBOARD} reads questions line by"
        " line, and each answer knows those before",
    )
    parser.add_argument(
        "--video",
        action="append",
        default=[],
        metavar="FILE",
        help="an animation or film to look at after the pictures; may be given often",
    )
    parser.add_argument(
        "--think",
        action="store_true",
        help="ask to say what the answer rests on, a colon, and then the answer; a"
        " large model needs a greater --max-new-tokens for that",
    )
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
        help="end the answer where this would begin; may be given often",
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
    from bridge_jax.inference import inputs

    shown = [*args.images, *map(inputs.Video, args.video)]
    if args.question == KEYBOARD:
        _converse(model, shown, args)
    elif sys.stdout.isatty():
        _tell_along(model, shown, args)
    else:
        [answer] = model.chat(
            [shown or None], [args.question], think=args.think, **_how(args)
        )
        print(answer.text)
        _tell_chances(answer)


def _how(args: argparse.Namespace) -> dict[str, Any]:
    """Keywords of `Model.chat` and of `choosing.make`."""
    names = (
        "max_new_tokens",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "repetition_penalty",
        "seed",
        "stop",
        "logprobs",
    )
    return {name: getattr(args, name) for name in names}


def _tell_along(model: Any, shown: list[Any], args: argparse.Namespace) -> None:
    """The answer of `Model.chat`, on the terminal as it grows."""
    from bridge_jax.inference import inputs, live
    from bridge_jax.inference.answering import choosing

    inputs.texts([args.question], "question")
    question = model.processor.words.asked(args.question, args.think)
    number = model.number(shown, question)
    with live.Live(model, rows=1) as talk:
        reply = talk.ask(
            [_asked(shown, question)],
            shown,
            choice=choosing.make(**_how(args)),
            number=number,
        )
        _tell(reply)
        _tell_chances(reply.result())


def _converse(model: Any, shown: list[Any], args: argparse.Namespace) -> None:
    """Questions and answers in turn, until there are no more lines."""
    from bridge_jax.inference import live
    from bridge_jax.inference.answering import choosing

    choice, messages, new = choosing.make(**_how(args)), [], shown
    with live.Live(model, rows=1) as talk:
        for question in _lines(sys.stdin):
            question = model.processor.words.asked(question, args.think)
            messages.append(_asked(new, question))
            reply = talk.ask(messages, shown, choice=choice)
            _tell(reply)
            _tell_chances(reply.result())
            messages.append({"role": "assistant", "content": reply.result().text})
            new = []


def _asked(shown: list[Any], question: str) -> dict[str, Any]:
    from bridge_jax.inference import inputs

    kinds = ("video" if isinstance(one, inputs.Video) else "image" for one in shown)
    words = {"type": "text", "text": question}
    return {"role": "user", "content": [*({"type": kind} for kind in kinds), words]}


def _lines(file: Iterable[str]) -> Iterator[str]:
    """Lines with something in them; on a terminal they are asked for."""
    asks, lines = sys.stdin.isatty(), iter(file)
    while True:
        if asks:
            print("> ", end="", flush=True)
        line = next(lines, None)
        if line is None:
            return
        if line.strip():
            yield line.strip()


def _tell(reply: Any) -> None:
    for piece in reply:
        print(piece.text, end="", flush=True)
    print()


def _tell_chances(answer: Any) -> None:
    for one in answer.logprobs or ():
        print(
            "  ".join(f"{s.text!r} {s.log_probability:.3f}" for s in (one, *one.others))
        )
