"""What several commands' arguments share: kinds of numbers, the machine, the model."""

import argparse
import functools
import importlib
import math
import os
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from bridge_jax.core.errors import BridgeError

DEFAULT_MODEL = "shapes-tiny"
FLOATS = ("float32", "bfloat16")
_SIMULATED = "BRIDGE_JAX_SIMULATED"  # how many devices this process already simulates


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises its mistakes as one line."""

    def error(self, message: str) -> NoReturn:
        raise BridgeError(f"{message}; see `{self.prog} --help`")


def add_command(
    commands: Any, name: str, module: ModuleType
) -> argparse.ArgumentParser:
    """A sub-command from its file: help by its docstring, its arguments.

    Args:
      commands: what `add_subparsers` gave.
    """
    one = commands.add_parser(
        name,
        help=module.__doc__.splitlines()[0],
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(one)
    return one


def add_actions(
    parser: argparse.ArgumentParser, package: str, names: Sequence[str]
) -> None:
    """Sub-commands of a command that is a folder, each a file in it.

    `args.act(args)` runs the one that is named.
    """
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name in names:
        module = importlib.import_module(f"{package}.{name}")
        add_command(actions, name, module).set_defaults(act=module.run)


def positive(text: str) -> int:
    """An integer from 1 on."""
    value = natural(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not at least 1")
    return value


def natural(text: str) -> int:
    """An integer from 0 on, below 2**31 (seeds and counts are 32-bit)."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2**31 - 1")
    return value


def number(text: str) -> float:
    """A finite number from 0 on."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number from 0 on")
    return value


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = number(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Flags about where the command computes; `start` obeys them."""
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--simulate",
        type=positive,
        metavar="N",
        help="simulate N devices on the CPU, to try out a mesh",
    )
    group.add_argument(
        "--compilation-cache",
        metavar="DIR",
        help="folder of compiled programs, '' for none"
        " (default: ~/.cache/bridge_jax/xla, or $BRIDGE_JAX_CACHE)",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Flags about which model; `load` obeys them."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help="folder with weights, finished work directory or preset"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--quantize",
        choices=("int8",),
        help="keep the matrices of the language model in 8 bits",
    )
    add_machine(parser)


def add_drawing(parser: argparse.ArgumentParser, n: int = 1) -> None:
    """Flags of everything that draws; `drawing` turns them into keywords."""
    parser.add_argument(
        "-n",
        "--n",
        type=positive,
        default=n,
        help="pictures of each (default: %(default)s)",
    )
    parser.add_argument("--seed", type=natural, default=0, help="default: %(default)s")
    parser.add_argument(
        "--sampler",
        choices=("dpm", "ddim", "ddpm"),
        default="dpm",
        help="default: %(default)s",
    )
    parser.add_argument(
        "--steps",
        type=positive,
        default=25,
        help="sampling steps (default: %(default)s)",
    )
    parser.add_argument(
        "--guidance",
        type=number,
        default=3.0,
        help="scale of classifier-free guidance, 1 for none (default: %(default)s)",
    )
    parser.add_argument(
        "--best-of",
        type=positive,
        default=1,
        metavar="N",
        help="draw N candidates for each picture and keep the one that the model itself"
        " reads best (default: %(default)s)",
    )


def drawing(args: argparse.Namespace) -> dict[str, Any]:
    """Keywords of `Model.generate` and `Model.edit` from the flags of `add_drawing`."""
    return {
        "seed": args.seed,
        "sampler": args.sampler,
        "steps": args.steps,
        "guidance": args.guidance,
        "best_of": args.best_of,
    }


def add_canvas(parser: argparse.ArgumentParser, *words: str) -> None:
    """Flags of commands that draw what they are asked for; `canvas` gives keywords.

    Args:
      words: what --size may be beside HEIGHTxWIDTH.
    """
    parser.add_argument(
        "--size",
        type=functools.partial(_size, words),
        metavar="HxW",
        help=f"height and width in pixels{''.join(f', or {word!r}' for word in words)}"
        " (default: what the decoder was trained at)",
    )
    parser.add_argument(
        "--negative",
        action="append",
        default=[],
        metavar="TEXT",
        help="what to draw away from; once for all, or once for each",
    )


def canvas(args: argparse.Namespace) -> dict[str, Any]:
    """Keywords of `Model.generate` and `Model.edit` from the flags of `add_canvas`."""
    negative = args.negative[0] if len(args.negative) == 1 else args.negative
    return {"size": args.size} | ({"negative": negative} if args.negative else {})


def _size(words: Sequence[str], text: str) -> tuple[int, int] | str:
    if text in words:
        return text
    sides = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text)
    if not sides:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 64x96")
    return int(sides[1]), int(sides[2])


def add_dtype(parser: argparse.ArgumentParser) -> None:
    """--dtype of stored weights; `dtypes` reads it."""
    parser.add_argument(
        "--dtype",
        action="append",
        default=[],
        metavar="[PART=]TYPE",
        help=f"store as {' or '.join(FLOATS)}, all parts or one (default: as they are)",
    )


def dtypes(args: argparse.Namespace) -> dict[str, str]:
    """["bfloat16", "vae=float32"] -> {"": "bfloat16", "vae": "float32"}.

    Raises:
      BridgeError: a type that weights cannot have.
    """
    chosen = {}
    for text in args.dtype:
        part, _, name = text.rpartition("=")
        if name not in FLOATS:
            raise BridgeError(f"--dtype {text}: the type is one of {', '.join(FLOATS)}")
        chosen[part] = name
    return chosen


def start(args: argparse.Namespace) -> None:
    """Set up this process as the machine flags say, before jax meets a device.

    Simulated devices need an environment that a running process cannot give itself:
    the process is replaced by one that has it.
    """
    from bridge_jax.core import runtime

    environment = dict(os.environ)
    if args.compilation_cache is not None:
        environment["BRIDGE_JAX_CACHE"] = args.compilation_cache
    if args.simulate and environment.get(_SIMULATED) != str(args.simulate):
        environment = runtime.simulated_environment(args.simulate, environment)
        environment[_SIMULATED] = str(args.simulate)
        sys.stdout.flush()
        command = [sys.executable, "-m", "bridge_jax", *args.argv]
        os.execve(sys.executable, command, environment)
    runtime.start(environment)


def load(args: argparse.Namespace) -> Any:
    """Set up the machine and load the model that the flags name."""
    start(args)
    import bridge_jax

    return bridge_jax.load(args.model, quantize=args.quantize)
