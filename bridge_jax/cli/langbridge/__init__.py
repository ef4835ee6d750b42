"""LangBridge: find the words that language models share.

The adapter that combines them moves from one model to another with its file of words.

    bridge langbridge vocab --llm weights/qwen2 --llm weights/llama3 \\
        --corpus llava_v1_5_mix665k.json --size 19200 -o words.json
"""

import argparse
import importlib

ACTIONS = ("vocab",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name in ACTIONS:
        module = importlib.import_module(f"{__name__}.{name}")
        one = actions.add_parser(
            name,
            help=module.__doc__.splitlines()[0],
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(one)
        one.set_defaults(act=module.run)


def run(args: argparse.Namespace) -> None:
    args.act(args)
