"""LangBridge: words that language models share, and adapters that move by them.

    bridge langbridge vocab --llm weights/qwen2 --llm weights/llama3 \\
        --corpus llava_v1_5_mix665k.json --size 19200 -o words.json
    bridge langbridge transfer --adapter runs/adapter --to weights/llama3 -o moved
    bridge langbridge explain photo.png --model moved -o overlay.png
"""

import argparse

from bridge_jax.cli import arguments

ACTIONS = ("vocab", "transfer", "explain")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_actions(parser, __name__, ACTIONS)


def run(args: argparse.Namespace) -> None:
    args.act(args)
