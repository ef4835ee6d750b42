"""Measure a model, on the shapes world or an outside benchmark: metrics.json, pictures.

Pictures are laid out as GenEval wants them (generation/queries/00000/metadata.jsonl,
samples/0000.png, ...). Run again with the same --out, it does what is missing.

    bridge evaluate --tasks vqa,retrieval --split heldout --out runs/heldout

--benchmark NAME=DATA takes a benchmark's published files instead (a file NAME of
bridge_jax/eval/benchmarks, or a module of yours). The model's part and scoring are two
halves, and the second needs no model:

    bridge evaluate --benchmark geneval=evaluation_metadata.jsonl \\
        --only answer --out runs/geneval
    bridge evaluate --benchmark geneval=evaluation_metadata.jsonl \\
        --only score --scorer geneval_results:results.jsonl --out runs/geneval

--shard 0/4, 1/4, ... on four processes answers a quarter in each.
"""

import argparse
from pathlib import Path
from typing import Any

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError

_OF_THE_WORLD = ("tasks", "split", "limit", "chains", "cycles")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _benchmark(text: str) -> tuple[str, Path]:
    name, equals, data = text.partition("=")
    if not (name and equals and data):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=DATA")
    return name, Path(data)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    world = parser.add_argument_group("the shapes world")
    world.add_argument(
        "--tasks",
        type=_names,
        help="default: vqa,generation,editing,retrieval; and there are consistency,"
        " and reconstruction of the autoencoder alone",
    )
    world.add_argument("--split", help="test (default) or heldout")
    world.add_argument(
        "--limit",
        type=arguments.positive,
        help="at most so many questions, prompts, edits and scenes, for a quick look",
    )
    world.add_argument(
        "--chains",
        type=arguments.positive,
        help="how many scenes go round in consistency (default: 128)",
    )
    world.add_argument(
        "--cycles",
        type=arguments.positive,
        help="how many times each goes round (default: 3)",
    )
    _add_benchmark(parser.add_argument_group("an outside benchmark"))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--condition",
        choices=("queries", "text", "both"),
        help="what guides the decoder in generation (default: both, one by one; of an"
        " outside benchmark queries)",
    )
    parser.add_argument(
        "--no-rewrite",
        dest="rewrite",
        action="store_false",
        help="draw the prompts as they are",
    )
    parser.add_argument(
        "--think",
        action="store_true",
        help="ask to say what an answer rests on before it; what comes after the last"
        " colon is judged",
    )
    parser.add_argument(
        "--edits-bert",
        choices=("caption", "empty"),
        default="caption",
        help="what the decoder's BERT reads in edits (default: their caption)",
    )
    arguments.add_drawing(parser, n=4)
    arguments.add_model(parser)


def _add_benchmark(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--benchmark",
        type=_benchmark,
        metavar="NAME=DATA",
        help="its name, and the file or folder as it was published",
    )
    group.add_argument(
        "--only",
        choices=("answer", "score"),
        help="the model's half, or the half that needs none (default: both)",
    )
    group.add_argument(
        "--scorer",
        metavar="NAME[:arg]",
        help="who judges; of pictures shapes, geneval_results:FILE or recorded:FILE",
    )
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="answer only items I, I+N, ...; with --only answer",
    )


def run(args: argparse.Namespace) -> None:
    _check(args)
    outputs.check_folder(args.out)
    figures = _outside(args) if args.benchmark else _shapes(args)
    width = max(map(len, figures), default=0)
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:.4f}")
    print(args.out if args.only == "answer" else args.out / "metrics.json")


def _check(args: argparse.Namespace) -> None:
    """Raise BridgeError for flags that do not go together, all at once."""
    problems = []
    if args.benchmark is None:
        given = [f for f in ("only", "scorer", "shard") if getattr(args, f) is not None]
        problems += [f"--{flag} goes with --benchmark" for flag in given]
    else:
        given = [flag for flag in _OF_THE_WORLD if getattr(args, flag) is not None]
        problems += [
            f"--{flag} is of the shapes world and means nothing to --benchmark"
            for flag in given
        ]
        if args.condition == "both":
            problems.append("--benchmark draws once: --condition is queries or text")
        if args.shard is not None and args.only != "answer":
            problems.append(
                "--shard goes with --only answer; score afterwards, all shards at once,"
                " with --only score"
            )
        if args.only == "answer" and args.scorer is not None:
            problems.append("--scorer means nothing to --only answer")
    if problems:
        raise BridgeError("; ".join(problems))


def _options(args: argparse.Namespace, conditions: tuple[str, ...]) -> dict[str, Any]:
    return {
        "conditions": conditions,
        "rewrite": args.rewrite,
        "think": args.think,
        "images_per_prompt": args.n,
        "edits_bert": args.edits_bert,
        **arguments.drawing(args),
    }


def _shapes(args: argparse.Namespace) -> dict[str, float]:
    model = arguments.load(args)
    from bridge_jax.eval import run as evaluation

    both = args.condition in (None, "both")
    rounds = {name: getattr(args, name) for name in ("chains", "cycles")}
    metrics = evaluation.evaluate(
        model,
        evaluation.USUAL if args.tasks is None else args.tasks,
        "test" if args.split is None else args.split,
        args.out,
        limit=args.limit,
        resume=True,
        **_options(args, ("queries", "text") if both else (args.condition,)),
        **{name: count for name, count in rounds.items() if count is not None},
    )
    return {k: v for k, v in metrics.items() if isinstance(v, int | float)}


def _outside(args: argparse.Namespace) -> dict[str, float]:
    from bridge_jax.eval.outside import run as outside
    from bridge_jax.eval.outside.shards import WHOLE, Shard

    name, data = args.benchmark
    shard = WHOLE if args.shard is None else Shard.parse(args.shard)
    # Mistakes are told before the model is loaded.
    outside.opened(name, data, args.scorer)
    if args.only != "score":
        options = _options(args, (args.condition or "queries",))
        model = arguments.load(args)
        outside.answer(model, name, data, args.out, shard=shard, **options)
    if args.only == "answer":
        return {}
    metrics = outside.score(name, data, args.out, args.scorer)
    return outside.figures(metrics, name)
