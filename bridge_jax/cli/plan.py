"""Does a config fit a pod? Compiles its own programs for it, without the pod.

Needs libtpu (pip install -e '.[plan]') and no TPU. A topology is v4-32, v5p-64,
v5e-256, v6e-256, 2xv5p-64 (two slices) and the like, or cpu-8 with --simulate 8. What
it says is "compiled and fits (AOT, no hardware)": nothing ran. Exits with 1 if anything
does not fit.

    bridge plan --config configs/stage2_omnibridge_7b.py --topology v5p-64
    bridge plan --config configs/stage2_omnibridge_7b.py --topology v5p-64 \\
        --program sampling
    bridge plan --config configs/stage1_omnibridge_7b.py --topology v5p-64 \\
        --topology v5e-256 --json plan.json
"""

import argparse
import json
import os
from pathlib import Path

from bridge_jax.cli import arguments, outputs

EXIT_TOO_BIG = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE[:VARIANT]")
    parser.add_argument(
        "--topology",
        dest="topologies",
        action="append",
        required=True,
        metavar="NAME",
        help="once for each",
    )
    parser.add_argument(
        "--program",
        choices=("training", "sampling"),
        default="training",
        help="what to compile: the training step, or rewriting, conditions and"
        " painting of one picture a share of the batch",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything there, too"
    )
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    # A device of this machine would take no part; with libtpu jax would look for a TPU.
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["BRIDGE_JAX_CACHE"] = ""  # programs for absent devices cannot be kept
    arguments.start(args)
    from bridge_jax.cli import resolve
    from bridge_jax.plan import fit, table, topology

    config = resolve.resolve(args.config, args.overrides)
    if args.json is not None:
        outputs.check_file(args.json)
    found = [topology.find(name) for name in args.topologies]
    plans = []
    for where in found:
        for plan in fit.plans(config, args.config, where, args.program):
            plans.append(plan)
            print(table.text(plan), flush=True)
    if args.json is not None:
        listed = [one.to_json() for one in plans]
        outputs.write_text(args.json, json.dumps(listed, indent=2) + "\n")
    if not all(one.fits for one in plans):
        raise SystemExit(EXIT_TOO_BIG)
