"""Find the pictures of an index that are nearest to a text or a picture.

A query that is the path of a file is a picture, anything else is a text. Each line of
the answer is a score (cosine, at most 1) and a path.

    bridge search index "a green ring right of a star"
    bridge search index scene.png -k 3
"""

import argparse
import os
from pathlib import Path

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("index", type=Path, help="folder made by `bridge embed`")
    parser.add_argument("query", help="a text, or the path of a picture")
    parser.add_argument(
        "-k", type=arguments.positive, default=5, help="how many (default: 5)"
    )
    arguments.add_model(parser)


def run(args: argparse.Namespace) -> None:
    # Not by Path: a text may be too long for one.
    is_picture = os.path.isfile(args.query)
    if not is_picture and args.query.lower().endswith(outputs.SUFFIXES):
        raise BridgeError(f"{args.query}: no such file; check the path")
    if not args.index.is_dir():
        raise BridgeError(f"there is no index {args.index}; make one: bridge embed")
    model = arguments.load(args)
    from bridge_jax.inference import index

    opened = index.Index.open(args.index, model.fingerprint)
    if is_picture:
        query = model.embed(images=[args.query])
    else:
        query = model.embed(texts=[args.query])
    ids, scores = opened.search(query, args.k)
    for name, score in zip(ids[0], scores[0], strict=True):
        print(f"{score:.4f}  {name}")
