"""Turn plans into the table of a page.

    bridge plans runs/plans/*.json --into README.md

The files are those of `bridge plan --json`; launch/plan_table.sh makes the ones of
README.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from bridge_jax.core.errors import BridgeError

MARK = "plans"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="JSON", help="of bridge plan --json"
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="PAGE",
        help=f"put it between <!-- {MARK} --> and <!-- /{MARK} --> of this file,"
        " instead of printing it; rows of other plans that stand there stay",
    )


def run(args: argparse.Namespace) -> None:
    from bridge_jax.cli import outputs
    from bridge_jax.core import marks
    from bridge_jax.plan import table

    plans = [one for path in args.files for one in _read(path)]
    if args.into is None:
        print(table.markdown(plans))
        return
    text = table.markdown(plans, marks.between(args.into, MARK))
    outputs.write_text(args.into, marks.insert(args.into, MARK, text))
    print(args.into)


def _read(path: Path) -> list[Any]:
    from bridge_jax.plan import fit

    try:
        return [fit.Plan.from_json(one) for one in json.loads(path.read_text())]
    except OSError as error:
        raise BridgeError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise BridgeError(f"{path} is not of bridge plan --json: {error}") from None
