"""Read every record of a cache and compare its checksum; exits with 1 for any damage.

bridge cache verify runs/cache
"""

import argparse
from pathlib import Path

from bridge_jax.core.errors import BridgeError

EXIT_DAMAGED = 1
_SHOWN = 10  # faults that are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR")


def run(args: argparse.Namespace) -> None:
    from bridge_jax.core import log
    from bridge_jax.data.cache import origin, shards, store

    origin.read(args.directory)
    faults, whole = [], 0
    for kind in origin.KINDS:
        for path in log.progress(shards.find(args.directory, kind), kind):
            try:
                shard = shards.Shard(path)
            except BridgeError as error:
                faults.append(str(error))
                continue
            found = store.faults(shard)
            faults += found
            whole += len(shard.names) - len(found)
    print(f"{whole} records are whole, {len(faults)} fault(s)")
    for fault in faults[:_SHOWN]:
        print(f"  {fault}")
    if faults:
        raise SystemExit(EXIT_DAMAGED)
