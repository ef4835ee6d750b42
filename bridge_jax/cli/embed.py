"""Make a search index of pictures.

Folders are searched for pictures, those below them too. What `bridge search` prints
later are the paths as found here.

    bridge embed photos more/picture.png -o index
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError

_SHOWN = 5  # unreadable pictures named in one message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="folder of the index"
    )
    parser.add_argument("--force", action="store_true", help="replace an index there")
    parser.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="leave out files that are no whole pictures, naming them",
    )
    parser.add_argument(
        "--batch",
        type=arguments.positive,
        default=32,
        help="pictures at once (default: 32)",
    )
    arguments.add_model(parser)


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from bridge_jax.core import log
    from bridge_jax.inference import index

    outputs.check_folder(args.out, args.force, holding=index.ABOUT, alone=True)
    paths = readable(find(args.paths), args.skip_unreadable)
    model = arguments.load(args)
    starts = range(0, len(paths), args.batch)
    rows = [
        model.embed(images=paths[start : start + args.batch])
        for start in log.progress(starts, "embedding")
    ]
    names = [str(path) for path in paths]
    made = index.Index.build(np.concatenate(rows), names, model.fingerprint)
    made.save(args.out)
    print(f"{len(paths)} pictures in {args.out}")


def find(paths: Sequence[Path]) -> list[Path]:
    """The files named, and the pictures below the folders named, each once, in order.

    Raises:
      BridgeError: everything that does not exist; nothing found at all.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise BridgeError(f"no such file or folder: {', '.join(missing)}")
    found: dict[Path, None] = {}
    for path in paths:
        below = sorted(path.rglob("*")) if path.is_dir() else []
        pictures = [p for p in below if p.suffix.lower() in outputs.SUFFIXES]
        found |= dict.fromkeys(pictures if path.is_dir() else [path])
    if not found:
        names = ", ".join(map(str, paths))
        raise BridgeError(f"no picture ({' '.join(outputs.SUFFIXES)}) in {names}")
    return list(found)


def readable(paths: Sequence[Path], skip: bool) -> list[Path]:
    """The paths that open as pictures: all of them, unless `skip`.

    They are all opened before the first is embedded, so that one bad file in
    thousands does not end the work near its end.

    Raises:
      BridgeError: what cannot be read, told together; nothing can be read.
    """
    from bridge_jax.data import images

    good, problems = [], []
    for path in paths:
        try:
            images.open_image(path)
            good.append(path)
        except BridgeError as error:
            problems.append(str(error))
    if problems and not (skip and good):
        more = len(problems) - _SHOWN
        raise BridgeError(
            "; ".join(problems[:_SHOWN])
            + (f"; and {more} more" if more > 0 else "")
            + ("" if skip else "; or pass --skip-unreadable")
        )
    for problem in problems:
        print(f"skipped {problem}")
    return good
