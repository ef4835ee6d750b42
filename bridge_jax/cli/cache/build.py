"""Run the frozen parts of a config once over its rows, and keep what they make.

    bridge cache build --config configs/shapes_stage2.py --out runs/cache
    bridge train --config configs/shapes_stage2.py --workdir runs/stage2 \\
        --config.cache.folder=runs/cache

captions are the LLM's own, for every row that asks for one; targets are mT5's states of
captions, latents the autoencoder's of pictures, states the LLM's at the tokens that the
aligner reads. --what names all that the run will read (its cache.read): targets and
states are of the captions that it will see. A row that is met twice is made once.

It goes on where it was interrupted, and adds to what is there. SIGTERM exits with 42.
"""

import argparse
import dataclasses
from pathlib import Path

from bridge_jax.cli import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE[:VARIANT]",
        help="of the run that will read it",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--what",
        default="captions",
        metavar="KIND,...",
        help="captions, targets, latents, states (default: %(default)s)",
    )
    parser.add_argument(
        "--rows",
        type=arguments.positive,
        metavar="N",
        help="of each stream (default: as many as the run reads)",
    )
    parser.add_argument(
        "--batch",
        type=arguments.positive,
        default=64,
        help="rows computed at once (default: %(default)s)",
    )
    parser.add_argument(
        "--window",
        type=arguments.positive,
        default=1024,
        help="rows a shard, which is what an interruption loses (default: %(default)s)",
    )
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="every N-th window, from number I on: for N processes, each on a host",
    )
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    arguments.start(args)
    from bridge_jax.cli import resolve
    from bridge_jax.core import config as config_lib
    from bridge_jax.core import runtime
    from bridge_jax.data import processor as processor_lib
    from bridge_jax.data.cache import origin, reading
    from bridge_jax.eval import provenance
    from bridge_jax.eval.outside.shards import WHOLE, Shard
    from bridge_jax.inference import precompute, settings
    from bridge_jax.inference.drawing import captions
    from bridge_jax.inference.engine import Engine
    from bridge_jax.train import cached, recipe

    share = Shard.parse(args.shard) if args.shard else WHOLE
    resolved = resolve.resolve(args.config, args.overrides)
    config = config_lib.to_dataclass(recipe.Config, resolved)
    config = dataclasses.replace(config, cache=reading.Settings())  # not there yet
    recipe.check(config)
    runtime.need_one_process("bridge cache build", "--shard I/N on each host")
    streams = {name: dict(given) for name, given in config.streams.items()}
    batches = {name: given.get("batch", 0) for name, given in streams.items()}
    plan = precompute.Plan(
        streams=streams,
        rows={n: args.rows or config.total_steps * b for n, b in batches.items()},
        kinds=reading.kinds_of(args.what, "--what"),
        window=args.window,
        share=share.index,
        shares=share.count,
    )
    processor = processor_lib.Processor(config.processor)
    precompute.check(plan, processor)
    bundle, layout, params = cached.frozen(config, plan.kinds)
    limits = settings.Limits(max_context=precompute.CONTEXT, rows=args.batch)
    engine = Engine(bundle, processor, layout, limits)
    parts = cached.parts_of(plan.kinds)
    decoding = captions.decoding(processor)
    about = (config.processor, decoding, provenance.versions())
    origin.claim(args.out, cached.made_by(bundle, params, parts, *about))
    with runtime.ended_by_signal():
        made = precompute.fill(engine, params, plan, args.out)
    for kind, count in made.items():
        print(f"{kind}: {count} new")
    print(args.out)
