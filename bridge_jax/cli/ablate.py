"""A grid of training runs that differ in one thing, and a table of what came of it.

An experiment (see `bridge_jax/lab/experiment.py`) names a base config, arms that change
it, seeds and figures. Each arm with each seed is a job in a process of its own; one
that was interrupted goes on, one that is done is skipped. In the end DIR holds
table.md, report.html and plots/.

    bridge ablate --config configs/ablate_objectives.py --out runs/objectives --dry-run
    bridge ablate --config configs/ablate_objectives.py --out runs/objectives
    bridge ablate compare runs/objectives/baseline runs/objectives/joint

On several machines with one file system: --shard 0/4, --shard 1/4, ... and afterwards
--table, which may also come before the end: it tells what is done so far.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError

COMPARE = "compare"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "compare",
        nargs="*",
        metavar="compare A B",
        help="two arms by their folders, figure by figure, instead of running anything",
    )
    parser.add_argument("--config", metavar="FILE[:VARIANT]", help="the experiment")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where everything goes")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the grid and what it costs"
    )
    parser.add_argument(
        "--table", action="store_true", help="run nothing: the table of what is done"
    )
    parser.add_argument(
        "--workers",
        type=arguments.positive,
        default=1,
        help="jobs at a time, which share the processor's cores (default: 1)",
    )
    parser.add_argument(
        "--shard", metavar="I/N", help="every Nth job alone, and no table"
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="PAGE",
        help="put the table into PAGE, too, between <!-- NAME --> and <!-- /NAME -->"
        " with NAME as in NAME.py[:VARIANT] of --config",
    )
    parser.add_argument("--job", metavar="ARM/seed_S", help="one job alone, right here")
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    if args.compare:
        _compare(args)
        return
    if args.config is None or args.out is None:
        raise BridgeError("ablate needs --config and --out, or: ablate compare A B")
    outputs.check_folder(args.out)
    if args.job or args.dry_run:  # else only the jobs' own processes meet a device
        arguments.start(args)
    from bridge_jax.core import config as config_lib
    from bridge_jax.lab import experiment as experiment_lib

    experiment = experiment_lib.load(config_lib.load(args.config, args.overrides))
    if args.dry_run:
        _price(experiment, args)
    elif args.job:
        _one(experiment, args)
    elif args.table:
        outputs.check_plots()
        _tell(experiment, args)
    else:
        _all(experiment, args)


def _compare(args: argparse.Namespace) -> None:
    word, *folders = args.compare
    if word != COMPARE or len(folders) != 2:
        raise BridgeError(
            f"{' '.join(args.compare)!r} is not understood: bridge ablate compare A B"
            " takes the folders of two arms"
        )
    from bridge_jax.lab import compare

    print(compare.markdown(*map(Path, folders)))


def _one(experiment: Any, args: argparse.Namespace) -> None:
    from bridge_jax.core import config as config_lib
    from bridge_jax.lab import job as job_lib

    jobs = {job.name: job for job in experiment.jobs()}
    if args.job not in jobs:
        hint = config_lib.suggest(args.job, jobs)
        raise BridgeError(f"this experiment has no job {args.job!r}{hint}")
    job_lib.run(jobs[args.job], args.out)


def _all(experiment: Any, args: argparse.Namespace) -> None:
    from bridge_jax.core import marks
    from bridge_jax.eval.outside.shards import WHOLE, Shard
    from bridge_jax.lab import grid

    shard = WHOLE if args.shard is None else Shard.parse(args.shard)
    if args.shard is None:
        outputs.check_plots()
    if args.into is not None:
        marks.between(args.into, _mark(args))  # before hours of work
    jobs = [job for _, job in shard.of(experiment.jobs())]
    same = [text for text in args.argv if text.startswith("--config.")]
    cache = args.compilation_cache
    machine = [] if cache is None else ["--compilation-cache", cache]
    machine += [] if args.simulate is None else ["--simulate", str(args.simulate)]
    start = [sys.executable, "-m", "bridge_jax", "ablate", "--config", args.config]

    def command(job: Any) -> list[str]:
        return [*start, "--out", str(args.out), "--job", job.name, *machine, *same]

    grid.run(jobs, args.out, command, args.workers)
    if args.shard is None:
        _tell(experiment, args)


def _price(experiment: Any, args: argparse.Namespace) -> None:
    from bridge_jax.lab import cost

    print(cost.markdown(cost.of(experiment, args.out)))


def _tell(experiment: Any, args: argparse.Namespace) -> None:
    from bridge_jax.core import marks
    from bridge_jax.lab import report, results, table

    found = results.read(experiment, args.out)
    text = table.markdown(found, experiment.figures)
    outputs.write_text(args.out / "table.md", text + "\n")
    report.write(args.out / "report.html", experiment, found)
    print(text)
    print(args.out / "report.html")
    if args.into is not None:
        page = marks.insert(args.into, _mark(args), text)
        outputs.write_text(args.into, page)
        print(args.into)


def _mark(args: argparse.Namespace) -> str:
    """ "ablate_latentumm:alone" of configs/ablate_latentumm.py:alone."""
    file, colon, variant = args.config.partition(":")
    return f"{Path(file).stem}{colon}{variant}"
