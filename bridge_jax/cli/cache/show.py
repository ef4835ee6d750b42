"""Tell what is in a cache: from which weights, how much, and a few captions.

bridge cache show runs/cache
"""

import argparse
import itertools
from pathlib import Path

from bridge_jax.cli import arguments

_DIGITS = 12  # of a hash


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument(
        "-n",
        type=arguments.natural,
        default=5,
        help="captions to print (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    from bridge_jax.data.cache import origin, records, store

    cache = store.Store(args.directory)
    for part, weights in cache.origin.weights.items():
        print(f"made by {part}: weights {weights[:_DIGITS]}")
    print(f"{'kind':<9} {'records':>9} {'shards':>7} {'MB':>9}")
    for kind in origin.KINDS:
        held = cache.kind(kind)
        if size := sum(shard.bytes for shard in held.shards) / 1e6:
            print(f"{kind:<9} {len(held):>9} {len(held.shards):>7} {size:>9.1f}")
    captions = cache.kind("captions")
    for name in itertools.islice(captions, args.n):
        found = {key: records.text(one) for key, one in captions.get(name).items()}
        note = f"  ({found['note']})" if found["note"] else ""
        print(f"{found['wish']}  ->  {found['text']}{note}")
