"""Measure a model on the shapes world: metrics.json, pictures, a table.

Pictures are laid out as GenEval wants them (generation/queries/00000/metadata.jsonl,
samples/0000.png, ...). Run again with the same --out, it does what is missing.

    bridge evaluate --tasks vqa,retrieval --split heldout --out runs/heldout
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments, outputs

_TASKS = "vqa,generation,editing,retrieval"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tasks", type=_names, default=_names(_TASKS), help=f"default: {_TASKS}"
    )
    parser.add_argument("--split", default="test", help="test (default) or heldout")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--limit",
        type=arguments.positive,
        help="at most so many questions, prompts, edits and scenes, for a quick look",
    )
    parser.add_argument(
        "--condition",
        choices=("queries", "text", "both"),
        default="both",
        help="what guides the decoder in generation (default: both, one by one)",
    )
    parser.add_argument(
        "--no-rewrite",
        dest="rewrite",
        action="store_false",
        help="draw the prompts as they are",
    )
    parser.add_argument(
        "--edits-bert",
        choices=("caption", "empty"),
        default="caption",
        help="what the decoder's BERT reads in edits (default: their caption)",
    )
    arguments.add_drawing(parser, n=4)
    arguments.add_model(parser)


def run(args: argparse.Namespace) -> None:
    outputs.check_folder(args.out)
    model = arguments.load(args)
    from bridge_jax.eval import run as evaluation

    both = args.condition == "both"
    metrics = evaluation.evaluate(
        model,
        args.tasks,
        args.split,
        args.out,
        limit=args.limit,
        resume=True,
        conditions=("queries", "text") if both else (args.condition,),
        rewrite=args.rewrite,
        images_per_prompt=args.n,
        edits_bert=args.edits_bert,
        **arguments.drawing(args),
    )
    figures = {k: v for k, v in metrics.items() if isinstance(v, int | float)}
    width = max(map(len, figures), default=0)
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:.4f}")
    print(args.out / evaluation.METRICS)
