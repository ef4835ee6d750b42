"""What data holds, how long it is, what is wrong with it, and the rows it makes.

Given a config it looks at each of its streams; given a file or folder, at what a stream
with the defaults would make of it.
"""

import argparse
from pathlib import Path
from typing import Any

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG|PATH")
    parser.add_argument("--kind", default="", help="of the files, if not by suffix")
    parser.add_argument(
        "--records",
        type=arguments.positive,
        default=1000,
        help="to look at, chosen at random (default: %(default)s)",
    )
    parser.add_argument(
        "--rows",
        type=arguments.positive,
        default=8,
        help="to make, for the page and for the speed (default: %(default)s)",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.html")
    parser.add_argument("--force", action="store_true", help="replace the file")


def run(args: argparse.Namespace) -> None:
    if args.output is not None:
        outputs.check_file(args.output, args.force)
    settings, streams = _read(args)
    from bridge_jax.core import config as config_lib
    from bridge_jax.data import pipeline
    from bridge_jax.data import processor as processor_lib
    from bridge_jax.inspection import findings, lines, page

    processor = processor_lib.Processor(
        config_lib.to_dataclass(processor_lib.Config, settings, "processor")
    )
    found = []
    for name, given in streams.items():
        stream, _ = pipeline.opened(name, given, processor)
        one = findings.of_stream(name, given, stream, args.rows, args.records)
        print(lines.told(one))
        found.append(one)
    if args.output is not None:
        outputs.write_text(args.output, page.make(found, processor))
        print(args.output)


def _read(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """(fields of the processor, {stream: settings})."""
    from bridge_jax.cli import resolve
    from bridge_jax.core import config as config_lib

    if args.config.partition(":")[0].endswith(".py"):
        if args.kind:
            raise BridgeError("--kind is of a file; a config's streams have theirs")
        config = config_lib.plain(resolve.resolve(args.config, args.overrides))
        return config["processor"], config["streams"]
    if args.overrides:
        raise BridgeError(f"{args.config} is no config to set {args.overrides[0]} in")
    from bridge_jax.inspection import guess

    return {}, {"main": guess.stream_of(args.config, args.kind)}
