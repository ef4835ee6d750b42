"""Measure something that the README claims, here and now.

`conversion` needs room for three copies of the model (7b: 50 GB); --layers cuts it.
`saving` compares our checkpoints with stock Orbax; `feeding` how fast data comes with
how fast training takes it; `caching` stage 2 from a cache with captions decoded in
every step; `search` the exact search of `bridge search` with numpy's (1,000,000 vectors
of 1024 take 6 GB of disk, and want as much memory to be kept in); `serving` what many
clients at once cost `bridge serve`; `growth` how time and memory grow with texts,
batches, pictures, queries and (simulated) devices, as curves with --plot.

    bridge bench conversion --workdir runs/conversion --size 7b
    bridge bench conversion --workdir runs/conversion --size 2b --layers 4
    bridge bench saving --workdir runs/saving --gigabytes 2
    bridge bench caching --workdir runs/caching --into README.md
    bridge bench feeding --config configs/shapes_stage1.py
    bridge bench search --workdir runs/search --count 1000000 --width 1024
    bridge bench serving --clients 50 --into README.md
    bridge bench growth --plot runs/growth.png --into README.md
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError

NEED_ROOM = ("conversion", "saving", "caching", "search")
FED = (
    "configs/shapes_pretrain.py:vlm",
    "configs/shapes_pretrain.py:decoder",
    "configs/shapes_pretrain.py:autoencoder",
    "configs/shapes_stage1.py",
    "configs/shapes_stage2.py",
)


def _conversion(args: argparse.Namespace) -> str:
    from bridge_jax.bench import conversion

    return conversion.markdown(conversion.measure(args.workdir, args.size, args.layers))


def _saving(args: argparse.Namespace) -> str:
    from bridge_jax.bench import saving

    return saving.markdown(saving.measure(args.workdir, args.gigabytes))


def _caching(args: argparse.Namespace) -> str:
    from bridge_jax.bench import caching

    return caching.markdown(caching.measure(args.workdir))


def _feeding(args: argparse.Namespace) -> str:
    from bridge_jax.bench import feeding
    from bridge_jax.cli import resolve

    configs = {spec: resolve.resolve(spec, args.overrides) for spec in args.config}
    return feeding.markdown(
        [feeding.measure(spec, config) for spec, config in configs.items()]
    )


def _search(args: argparse.Namespace) -> str:
    from bridge_jax.bench import search

    return search.markdown(search.measure(args.workdir, args.count, args.width))


def _serving(args: argparse.Namespace) -> str:
    from bridge_jax.bench import serving

    return serving.markdown(serving.measure(clients=args.clients))


def _growth(args: argparse.Namespace) -> str:
    from bridge_jax.bench.growth import curve, measure

    curves = measure.measure()
    if args.plot is not None:
        from bridge_jax.bench.growth import plot

        outputs.write_bytes(args.plot, plot.png(curves))
    return curve.markdown(curves)


SUITES: dict[str, Callable[[argparse.Namespace], str]] = {
    "conversion": _conversion,
    "saving": _saving,
    "caching": _caching,
    "feeding": _feeding,
    "search": _search,
    "serving": _serving,
    "growth": _growth,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("suite", choices=tuple(SUITES))
    parser.add_argument("--workdir", type=Path, help="a new folder, for big files")
    parser.add_argument(
        "--config",
        nargs="+",
        default=FED,
        metavar="CONFIG",
        help="recipes to feed (default: those of the tiny model)",
    )
    parser.add_argument("--size", default="7b", help="of Qwen2-VL: 2b, 7b, 72b")
    parser.add_argument("--layers", type=int, default=0, help="0: all of them")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="to save at once")
    parser.add_argument(
        "--count",
        type=arguments.positive,
        default=1_000_000,
        help="vectors to search (default: %(default)s)",
    )
    parser.add_argument(
        "--width",
        type=arguments.positive,
        default=1024,
        help="of a vector (default: %(default)s)",
    )
    parser.add_argument(
        "--clients",
        type=arguments.positive,
        default=50,
        help="at once at a server (default: %(default)s)",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw growth's curves there, as PNG"
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="PAGE",
        help="put the table between <!-- SUITE --> and <!-- /SUITE -->",
    )
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    if args.overrides and args.suite != "feeding":
        raise BridgeError(f"bench {args.suite} reads no config to set anything in")
    if args.plot is not None:
        if args.suite != "growth":
            raise BridgeError(f"bench {args.suite} draws nothing: --plot is growth's")
        outputs.check_plots()
        outputs.check_file(args.plot, force=True)
    if args.workdir is not None:
        outputs.check_folder(args.workdir)
    elif args.suite in NEED_ROOM:
        raise BridgeError(f"bench {args.suite} writes big files: give it --workdir DIR")
    arguments.start(args)
    from bridge_jax.core import marks

    table = SUITES[args.suite](args)
    print(table)
    if args.into is not None:
        outputs.write_text(args.into, marks.insert(args.into, args.suite, table))
