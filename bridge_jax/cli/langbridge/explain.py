"""Draw on a picture the words that its visual tokens are made of.

Beside OUT.png, OUT.json has all of it. Of a connector that combines no words, such as
mlp2x_gelu, it is the words of the nearest embeddings.

    bridge langbridge explain photo.png --model runs/adapter -o overlay.png
    bridge langbridge explain photo.png --model runs/adapter -o overlay.png \\
        --against runs/mlp --curve sparsity.png
"""

import argparse
import json
from pathlib import Path
from typing import Any

from bridge_jax.cli import arguments, outputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png")
    parser.add_argument(
        "--top", type=arguments.positive, default=3, help="words a token (default: 3)"
    )
    parser.add_argument(
        "--against",
        metavar="MODEL",
        help="another model, drawn below and told in the same json",
    )
    parser.add_argument(
        "--curve",
        type=Path,
        metavar="FILE.png",
        help="also plot which share the k heaviest words have (the extra lab)",
    )
    parser.add_argument("--force", action="store_true", help="replace the files")
    arguments.add_model(parser)


def run(args: argparse.Namespace) -> None:
    told = args.output.with_suffix(".json")
    files = [args.output, told, *([args.curve] if args.curve else [])]
    for path in files:
        outputs.check_file(path, args.force)
    if args.curve:
        outputs.check_plots()
    arguments.start(args)
    import bridge_jax
    from bridge_jax.eval import pictures
    from bridge_jax.eval.pages import words_drawn

    found = {}
    for name in dict.fromkeys((args.model, *([args.against] if args.against else []))):
        [found[name]] = bridge_jax.load(name).explain([args.image], top=args.top)
    drawn = []
    for name, one in found.items():
        title = f"{name}: {one.kind}, {one.entropy.mean():.2f} nats a token"
        sheet = words_drawn.sheet(one)
        drawn += [pictures.label(title, sheet.shape[1]), sheet]
    outputs.write_bytes(args.output, pictures.png(pictures.stack(drawn)))
    outputs.write_text(
        told, json.dumps({name: _json(one) for name, one in found.items()}) + "\n"
    )
    if args.curve:
        from bridge_jax.lab import plots

        shares = {name: one.shares for name, one in found.items()}
        outputs.write_bytes(args.curve, plots.shares(shares))
    for path in files:
        print(path)


def _json(one: Any) -> dict[str, Any]:
    return {
        "grid": one.grid,
        "kind": one.kind,
        "tokens": [
            {"words": words, "values": values, "entropy": entropy}
            for words, values, entropy in zip(
                one.words, one.values.tolist(), one.entropy.tolist(), strict=True
            )
        ],
        "shares": one.shares.tolist(),
    }
