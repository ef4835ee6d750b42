"""Turn evaluations of one model into the table of figures of a page.

bridge figures runs/test runs/heldout --into README.md
bridge figures runs/best_of_4 --mark figures:best_of --into README.md
"""

import argparse
from pathlib import Path

from bridge_jax.core.errors import BridgeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="DIR", help="of bridge evaluate"
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="PAGE",
        help="put it between <!-- MARK --> and <!-- /MARK --> of this file, instead of"
        " printing it",
    )
    parser.add_argument(
        "--mark",
        help="which marks of that page (default: figures)",
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="without what the shipped weights must reach: these are others",
    )


def run(args: argparse.Namespace) -> None:
    from bridge_jax.cli import outputs
    from bridge_jax.eval import records
    from bridge_jax.eval.pages import published

    if args.mark and args.into is None:
        raise BridgeError("--mark names marks of a page: give the page with --into")
    by_split = {}
    for folder in args.folders:
        metrics = records.read_json(folder / "metrics.json")
        if "split" not in metrics.get("settings", {}):
            raise BridgeError(
                f"{folder}: metrics.json is not of bridge evaluate on the shapes world"
            )
        by_split[metrics["settings"]["split"]] = metrics
    if args.into is None:
        print(published.markdown(by_split, not args.plain))
        return
    page = published.insert(
        args.into, args.mark or "figures", by_split, targets=not args.plain
    )
    outputs.write_text(args.into, page)
    print(args.into)
