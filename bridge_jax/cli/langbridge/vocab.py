"""Words that are frequent in a corpus and one token in every language model.

The file lists the words, how often each occurs, and its id in each model: what an
adapter combines, and what moves it from one model to another.
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--llm",
        action="append",
        required=True,
        metavar="[NAME=]FOLDER",
        help="folder of a tokenizer, twice or more; without NAME it is the folder's",
    )
    parser.add_argument(
        "--corpus",
        nargs="+",
        type=Path,
        required=True,
        metavar="FILE",
        help="texts: .txt, .jsonl or .json (see `bridge_jax/data/texts.py`)",
    )
    parser.add_argument(
        "--size",
        type=arguments.positive,
        default=19200,
        help="number of words (default: %(default)s)",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--force", action="store_true", help="replace the file")


def run(args: argparse.Namespace) -> None:
    outputs.check_file(args.output, args.force)
    folders = _named(args.llm)
    from bridge_jax.data import texts, tokens, vocabulary

    tokenizers = {name: tokens.load(folder) for name, folder in folders.items()}
    words = vocabulary.shared(tokenizers, texts.read(args.corpus), args.size)
    outputs.write_text(args.output, words.to_json())
    print(f"the most frequent: {', '.join(map(repr, words.words[:8]))}")
    print(f"the rarest occurs {words.counts[-1]} times: {words.words[-1]!r}")
    print(args.output)


def _named(given: list[str]) -> dict[str, Path]:
    """{"qwen2": folder} of ["qwen2=folder"] or [".../qwen2"]."""
    found: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        path = Path(folder if equals else text)
        name = name if equals else path.resolve().name
        if name in found:
            raise BridgeError(f"two --llm are named {name!r}; write NAME=FOLDER")
        found[name] = path
    if len(found) < 2:
        raise BridgeError("words are shared by two or more: give --llm twice")
    return found
