"""Make a search index of pictures and texts, or change one.

PATHs are pictures, folders (searched for pictures, those below them too) and data sets
of any kind that streams read: WebDataset tars, Parquet, JSON, ArrayRecord, TFDS, COCO,
Karpathy. What `bridge search` prints later are paths as found here, or places of
records. A run that was killed is gone on with by the same command.

    bridge embed photos more/picture.png -o index
    bridge embed "train-{000..010}.tar" -o index --what both
    bridge embed new -o index --add
    bridge embed -o index --remove photos/a.png photos/b.png
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="folder of the index"
    )
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--force", action="store_true", help="replace an index there")
    change.add_argument(
        "--add",
        action="store_true",
        help="add to the index there, or make it; what it has already is passed over",
    )
    change.add_argument(
        "--remove",
        nargs="+",
        metavar="ID",
        help="remove these from the index there, as `bridge search` prints them",
    )
    parser.add_argument(
        "--what",
        choices=("pictures", "texts", "both"),
        default="pictures",
        help="of each record: its picture, its captions, or both (default: pictures)",
    )
    parser.add_argument(
        "--columns",
        default="",
        metavar="image=A,caption=B",
        help="the records' own names of fields",
    )
    parser.add_argument(
        "--images",
        default="",
        metavar="DIR",
        help="folder that records name files from",
    )
    parser.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="leave out what cannot be read, naming it",
    )
    parser.add_argument(
        "--batch",
        type=arguments.positive,
        default=32,
        help="records at once (default: 32)",
    )
    arguments.add_model(parser)


def run(args: argparse.Namespace) -> None:
    if bool(args.paths) == bool(args.remove):
        raise BridgeError("give paths to embed, or --remove and ids: one of the two")
    if args.remove:
        _remove(args.out, args.remove)
        return
    from bridge_jax.retrieval import filling, folder, records

    replace = args.force or args.add
    if (args.out / folder.MANIFEST).exists() and not replace:
        raise BridgeError(
            f"{args.out} holds an index already; pass --add to grow it, --force to"
            " replace it, or name another folder"
        )
    outputs.check_folder(args.out, replace, holding=folder.MANIFEST, alone=True)
    found = records.Records(args.paths, args.what, args.columns, args.images)
    model = arguments.load(args)
    outcome = filling.fill(
        model,
        found,
        args.out,
        batch=args.batch,
        add=args.add,
        skip=args.skip_unreadable,
    )
    _tell(outcome, args)


def _remove(out: Path, ids: list[str]) -> None:
    from bridge_jax.retrieval import Index

    index = Index.open(out)
    index.remove(ids)
    print(f"{len(set(ids))} removed from {out}, which holds {len(index)}")


def _tell(outcome, args: argparse.Namespace) -> None:
    texts = args.what != "pictures"
    parts = [f"{outcome.pictures} pictures"] if args.what != "texts" else []
    made = " and ".join(parts + ([f"{outcome.texts} texts"] if texts else []))
    line = f"{made} in {args.out}"
    if args.add:
        line = f"{made} added to {args.out}, which holds {outcome.total}"
    if outcome.there:
        line += f"; {outcome.there} were there already"
    if outcome.unreadable:
        line += f"; {outcome.unreadable} could not be read"
    print(line)
