"""Run a training config: pretraining, stage 1 or stage 2, as its `entry` says.

    bridge train --config configs/shapes_stage1.py --workdir runs/stage1
    bridge train --config configs/shapes_stage1.py:tiny --workdir runs/try

--config.a.b=value overrides any key of the config. Checkpoints, metrics.jsonl,
tensorboard/ and config.json go to the work directory, the finished model to its
weights/. A run that SIGTERM interrupts, or the end of its terminal, is saved first and
exits with 42; with nohup the latter is not minded.
"""

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError

ENTRIES = ("pretrain", "stage1", "stage2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE[:VARIANT]",
        help="for example configs/shapes_stage1.py:tiny",
    )
    parser.add_argument("--workdir", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--resume",
        nargs="?",
        choices=("auto",),
        const=True,
        default=False,
        help="go on with the run in DIR; `--resume auto` starts it if there is none",
    )
    arguments.add_machine(parser)


def run(args: argparse.Namespace, entries: Sequence[str] = ENTRIES) -> None:
    """Train, if the config's entry is one of `entries`."""
    arguments.start(args)
    from bridge_jax.cli import resolve
    from bridge_jax.core import config as config_lib
    from bridge_jax.core import log

    config = resolve.resolve(args.config, args.overrides)
    entry = config.get("entry", "pretrain")
    if entry not in entries:
        hint = config_lib.suggest(entry, ENTRIES)
        way_out = hint if entry not in ENTRIES else "; use `bridge train`"
        raise BridgeError(
            f"{args.config} has entry {entry!r}, and this command runs"
            f" {', '.join(entries)}{way_out}"
        )
    outputs.check_folder(args.workdir)
    log.say(config_lib.to_json(config))
    module = importlib.import_module(f"bridge_jax.train.{entry}")
    module.run(config, args.workdir, args.resume, _hooks(config, args.workdir))
    log.say(f"finished: {args.workdir / 'weights'}")


def _hooks(config: Any, workdir: Path) -> tuple[Any, ...]:
    if not config.get("pictures_every"):
        return ()
    from bridge_jax.cli import sample_pictures

    return (sample_pictures.hook(config, workdir / "pictures"),)
