"""Measure something that the README claims, here and now.

`conversion` needs room for three copies of the model (7b: 50 GB); --layers cuts it.
`saving` compares our checkpoints with stock Orbax; `feeding` how fast data comes with
how fast training takes it; `caching` stage 2 from a cache with captions decoded in
every step; `search` the exact search of `bridge search` with numpy's (1,000,000 vectors
of 1024 take 6 GB of disk, and want as much memory to be kept in); `serving` what many
clients at once cost `bridge serve`; `growth` how time and memory grow with texts,
batches, pictures, queries and (simulated) devices, as curves with --plot;
`connectors` what a training step of the tiny LangBridge costs next to an MLP's.
`cpu` (float32), `cpu_bfloat16` and `gpu` (bfloat16) race our models against those of
transformers and diffusers (the extra `parity`): both compute the same, take turns on
the same cores or card, and are timed only after they have agreed (those that do not are
named before the table); --json keeps results, and goes on from those it has.
`card` measures how much of one accelerator training, decoding and embedding use at
published sizes, against the fastest product and copy that it does itself;
--config.a.b=c changes the works that --cases names.

    bridge bench cpu --json runs/races.json --plot runs/races.png --into README.md
    bridge bench cpu --against torch.compile --sizes small --cases hunyuan_dit/train
    bridge bench cpu_bfloat16 --sizes small --cases mt5/encode qwen2_vl/decode_1
    bridge bench gpu --json runs/races_gpu.json
    bridge bench card --json runs/card.json --into README.md
    bridge bench card --cases stage1_2b decode_7b
    bridge bench conversion --workdir runs/conversion --size 7b
    bridge bench conversion --workdir runs/conversion --size 2b --layers 4
    bridge bench saving --workdir runs/saving --gigabytes 2
    bridge bench caching --workdir runs/caching --into README.md
    bridge bench feeding --config configs/shapes_stage1.py
    bridge bench search --workdir runs/search --count 1000000 --width 1024
    bridge bench serving --clients 50 --into README.md
    bridge bench growth --plot runs/growth.png --into README.md
    bridge bench connectors --into README.md
"""

import argparse
import importlib.util
from collections.abc import Callable
from pathlib import Path

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError

RACES = {
    "cpu": dict(sizes=("tiny", "small", "medium"), dtype="float32"),
    "cpu_bfloat16": dict(sizes=("tiny", "small", "medium"), dtype="bfloat16"),
    "gpu": dict(sizes=("2b", "7b", "g2"), dtype="bfloat16"),
}
DRAWN = (*RACES, "growth")
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


def _connectors(args: argparse.Namespace) -> str:
    from bridge_jax.bench import connectors

    return connectors.markdown(connectors.measure())


def _races(args: argparse.Namespace) -> str:
    from bridge_jax.bench.side_by_side import race, suite, table

    how = RACES[args.suite]
    suite.check(args.cases, args.sizes)
    if args.again and args.json is None:
        raise BridgeError("--again adds rounds to a file's races: name it with --json")
    _check_peers()
    results, apart = suite.run(
        args.cases,
        args.sizes or how["sizes"],
        args.against,
        args.json,
        cores=args.cores or race.cores(),
        rounds=args.rounds,
        dtype=how["dtype"],
        again=args.again,
    )
    if args.plot is not None:
        from bridge_jax.bench.side_by_side import plot

        outputs.write_bytes(args.plot, plot.png(results))
    return table.markdown(results, apart)


def _card(args: argparse.Namespace) -> str:
    from bridge_jax.bench.card import suite, table, works
    from bridge_jax.cli import resolve

    suite.check(args.cases)
    configs = {}
    for name in args.cases or works.WORKS:
        work = works.WORKS[name]
        changes = (*work.changes, *args.overrides)
        configs[name] = resolve.resolve(work.spec, changes)
    report = suite.run(configs, args.overrides, args.json, args.rounds)
    return table.markdown(report)


SUITES: dict[str, Callable[[argparse.Namespace], str]] = {
    "conversion": _conversion,
    "saving": _saving,
    "caching": _caching,
    "feeding": _feeding,
    "search": _search,
    "serving": _serving,
    "growth": _growth,
    "connectors": _connectors,
    "cpu": _races,
    "cpu_bfloat16": _races,
    "gpu": _races,
    "card": _card,
}
START_PROCESSES = (*RACES, "card")  # which start jax themselves


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "suite",
        nargs="?",
        choices=tuple(SUITES),
        help="what to measure (default: cpu)",
    )
    parser.add_argument(
        "--suite", dest="named", choices=tuple(SUITES), help="the same, by name"
    )
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
        "--against",
        choices=("torch", "torch.compile"),
        default="torch",
        help="whom to race (default: %(default)s, which compiles nothing)",
    )
    parser.add_argument(
        "--cases", nargs="+", default=(), help="races or works (default: all)"
    )
    parser.add_argument("--sizes", nargs="+", default=(), help="of the models in races")
    parser.add_argument(
        "--rounds",
        type=arguments.positive,
        default=5,
        help="turns of each side in a race, or of a work (default: %(default)s)",
    )
    parser.add_argument(
        "--cores", type=arguments.positive, help="of both sides (default: all)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where results stay")
    parser.add_argument(
        "--again",
        action="store_true",
        help="race what that file holds once more, and count the rounds of both hours",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw races or growth there, as PNG"
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="PAGE",
        help="put the table between <!-- SUITE --> and <!-- /SUITE -->",
    )
    arguments.add_machine(parser)


def _check_peers() -> None:
    """Raises BridgeError where the other side is not installed."""
    missing = [
        name for name in ("torch", "diffusers") if not importlib.util.find_spec(name)
    ]
    if missing:
        raise BridgeError(
            f"races need {' and '.join(missing)}: pip install -e '.[parity]'"
        )


def run(args: argparse.Namespace) -> None:
    if args.suite and args.named:
        raise BridgeError(f"bench {args.suite} or bench --suite {args.named}, not both")
    args.suite = args.suite or args.named or "cpu"
    if args.overrides and args.suite not in ("feeding", "card"):
        raise BridgeError(f"bench {args.suite} reads no config to set anything in")
    if args.plot is not None:
        if args.suite not in DRAWN:
            raise BridgeError(
                f"bench {args.suite} draws nothing: --plot is for {', '.join(DRAWN)}"
            )
        outputs.check_plots()
        outputs.check_file(args.plot, force=True)
    if args.workdir is not None:
        outputs.check_folder(args.workdir)
    elif args.suite in NEED_ROOM:
        raise BridgeError(f"bench {args.suite} writes big files: give it --workdir DIR")
    if args.suite not in START_PROCESSES:
        arguments.start(args)
    from bridge_jax.core import marks

    table = SUITES[args.suite](args)
    print(table)
    if args.into is not None:
        outputs.write_text(args.into, marks.insert(args.into, args.suite, table))
