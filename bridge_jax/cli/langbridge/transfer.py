"""Give a trained adapter another language model: its words keep their meaning.

Nothing is trained. The words that the adapter combines are looked up in the other
model's vocabulary and their embeddings read from its table; tower and adapter stay.

    bridge langbridge transfer --adapter runs/adapter --to weights/llama3 -o moved
    bridge evaluate --model moved --tasks vqa --out runs/moved_vqa
    bridge train --config configs/langbridge_instruct.py:llama3_8b \\
        --config.init_from.vlm=moved:vlm --workdir runs/tuned
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.cli import arguments, outputs
from bridge_jax.core.errors import BridgeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--adapter",
        required=True,
        metavar="MODEL",
        help="work directory, or folder with weights, of a llava model",
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar="LLM",
        help="the same of a model with another decoder; `bridge import decoder_lm`"
        " makes one",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--pad",
        action="store_true",
        help="move an mlp2x_gelu, too: zeros fill what wider embeddings have more",
    )
    parser.add_argument("--force", action="store_true", help="replace weights there")
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    arguments.start(args)
    from bridge_jax.checkpoint import weights_file
    from bridge_jax.cli import saved_model
    from bridge_jax.convert import companions
    from bridge_jax.inference import load
    from bridge_jax.models import build

    outputs.check_folder(args.output, args.force, holding=weights_file.WEIGHTS)
    source, target = saved_model.read(args.adapter), saved_model.read(args.to)
    seeing = _part(source.model, ("llava",), args.adapter)
    speaking = _part(target.model, ("decoder_lm", "llava"), args.to)
    old = load.processor(source.processor, saved_model.home(args.adapter))
    new = load.processor(target.processor, saved_model.home(args.to))
    decoder = _decoder(target.model[speaking])
    model = dict(source.model[seeing]) | {"llm": decoder}
    params = dict(source.params[seeing]) | {"llm": target.params[speaking]["llm"]}
    if model["connector"] == "langbridge":
        from bridge_jax.data import vocabulary

        model["words"] = vocabulary.translated(model["words"], old.llm, new.llm)
    else:
        params["connector"] = _padded(params, model, args)
    described = {seeing: model}
    build.build(described)  # for its errors
    about = dict(source.processor) | {
        name: getattr(new.config, name) for name in ("llm", "template", "positions")
    }
    about["tokenizers"] = ""
    if new.config.tokenizers:
        own = Path(new.config.tokenizers) / new.config.llm
        companions.copy(own, args.output / companions.HOME / new.config.llm)
        about["tokenizers"] = companions.HOME
    moved = saved_model.SavedModel({seeing: params}, described, about)
    print(moved.save(args.output))


def _part(model: Mapping[str, Any], families: tuple[str, ...], where: str) -> str:
    """The name of the one part of these families."""
    found = [name for name, part in model.items() if part["family"] in families]
    if len(found) != 1:
        held = ", ".join(f"{name} ({part['family']})" for name, part in model.items())
        raise BridgeError(
            f"{where} holds {held}: one part of the family {' or '.join(families)} is"
            " needed"
        )
    return found[0]


def _decoder(part: Mapping[str, Any]) -> dict[str, Any]:
    """The decoder's own sizes."""
    if part["family"] == "llava":
        return dict(part["llm"])
    return {name: value for name, value in part.items() if name != "family"}


def _padded(
    params: Mapping[str, Any], model: Mapping[str, Any], args: argparse.Namespace
) -> Any:
    connector, width = model["connector"], model["llm"]["hidden_size"]
    if connector != "mlp2x_gelu" or not args.pad:
        raise BridgeError(
            f"{args.adapter} has the connector {connector!r}: only a langbridge moves"
            " by its words, and an mlp2x_gelu as it is, with --pad"
        )
    from bridge_jax.models.llava import move

    return move.padded(params["connector"], width)
