"""LangBridge: words that language models share, and adapters that move by them.

    bridge langbridge vocab --llm weights/qwen2 --llm weights/llama3 \\
        --corpus llava_v1_5_mix665k.json --size 19200 -o words.json
    bridge langbridge transfer --adapter runs/adapter --to weights/llama3 -o moved
    bridge langbridge explain photo.png --model moved -o overlay.png
"""

import argparse
import importlib

from bridge_jax.cli import arguments

ACTIONS = ("vocab", "transfer", "explain")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name in ACTIONS:
        module = importlib.import_module(f"{__name__}.{name}")
        arguments.add_command(actions, name, module).set_defaults(act=module.run)


def run(args: argparse.Namespace) -> None:
    args.act(args)
