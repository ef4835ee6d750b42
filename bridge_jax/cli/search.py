"""Find what an index holds that is nearest to a text, a picture, or both.

A QUERY that is the path of a file is a picture, anything else is a text. Several are
one query: the sum of their embeddings, each of length 1, scaled to length 1 again. Each
line of the answer is a score (cosine, at most 1) and a path.

    bridge search index "a green ring right of a star"
    bridge search index scene.png -k 3
    bridge search index scene.png "but blue" --json
"""

import argparse
import json
import os
import sys
from pathlib import Path

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError

_RECALLED = 100  # stored embeddings that approximate search is tried with


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("index", type=Path, help="folder made by `bridge embed`")
    parser.add_argument(
        "query", nargs="+", metavar="QUERY", help="a text, or the path of a picture"
    )
    parser.add_argument(
        "-k", type=arguments.positive, default=5, help="how many (default: 5)"
    )
    parser.add_argument(
        "--approximate",
        action="store_true",
        help="ask FAISS, which is faster among millions and may miss some; the first"
        " time it says how many (extra: faiss)",
    )
    parser.add_argument(
        "--json", action="store_true", help='print [{"id": ..., "score": ...}, ...]'
    )
    arguments.add_model(parser)


def run(args: argparse.Namespace) -> None:
    # Not by Path: a text may be too long for one.
    pictures = [one for one in args.query if os.path.isfile(one)]
    texts = [one for one in args.query if one not in pictures]
    missing = [one for one in texts if one.lower().endswith(outputs.SUFFIXES)]
    if missing:
        raise BridgeError(f"{', '.join(missing)}: no such file; check the path")
    if not args.index.is_dir():
        raise BridgeError(f"there is no index {args.index}; make one: bridge embed")
    if args.approximate:
        from bridge_jax.retrieval import approximate

        approximate.faiss()
    model = arguments.load(args)
    from bridge_jax import retrieval

    opened = retrieval.Index.open(args.index, model.fingerprint)
    query = retrieval.embedded(model, pictures, texts)
    is_new = args.approximate and not approximate.is_made(opened.segments)
    ids, scores = opened.search(query, args.k, approximate=args.approximate)
    if is_new:
        share = opened.recall(args.k, _RECALLED)
        print(
            f"recall@{args.k} {share:.3f} against exact search, of stored embeddings",
            file=sys.stderr,
        )
    found = list(zip(ids[0], scores[0].tolist(), strict=True))
    if args.json:
        print(json.dumps([{"id": one, "score": score} for one, score in found]))
        return
    for name, score in found:
        print(f"{score:.4f}  {name}")
