"""The `bridge` command: one file in this folder a sub-command.

A command's file has `add_arguments(parser)` and `run(args)`; the first line of its
docstring is its help. It imports jax and the model inside `run` only, so that help and
mistakes in arguments come at once.

Exit codes: 0; 2 for a mistake in the input, told in one line; 42 when a signal
interrupted a run that was saved; 130 after Ctrl-C; 134 when another process of the run
is gone, 141 when who reads the output is (`| head`), and 200 when this one stood still.
Anything else is a bug.
"""

import argparse
import importlib
import keyword
import sys
from collections.abc import Sequence

from bridge_jax.cli import arguments
from bridge_jax.core import collector, compiler, memory, unread
from bridge_jax.core.errors import BridgeError

COMMANDS = (
    "quickstart",
    "chat",
    "generate",
    "edit",
    "embed",
    "search",
    "serve",
    "evaluate",
    "figures",
    "ablate",
    "langbridge",
    "data",
    "parity",
    "pretrain",
    "train",
    "cache",
    "import",
    "export",
    "formats",
    "assemble",
    "ckpt",
    "plan",
    "plans",
    "bench",
)
EXIT_BAD_INPUT = 2
EXIT_CONTROL_C = 130
EXIT_UNREAD = 141  # as a shell tells of SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    collector.run_rarely()
    memory.keep()
    compiler.tune()
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        args.run(args)
        sys.stdout.flush()  # at exit it is too late to catch anything
    except BridgeError as error:
        print(f"bridge: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("bridge: stopped by Ctrl-C", file=sys.stderr)
        return EXIT_CONTROL_C
    except BrokenPipeError:
        if not unread.silence((sys.stdout.fileno(),)):
            raise  # a pipe of our own
        return EXIT_UNREAD
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of one command line, with `run` and the config's overrides.

    Raises:
      BridgeError: anything that does not parse.
    """
    plain = [text for text in argv if not text.startswith("--config.")]
    overrides = [text for text in argv if text.startswith("--config.")]
    args = parser().parse_args(plain)
    if overrides and "config" not in args:
        raise BridgeError(
            f"bridge {args.command} reads no config, so {overrides[0]} means nothing"
        )
    args.overrides = overrides
    args.argv = tuple(argv)
    return args


def parser() -> arguments.Parser:
    """The parser of all commands."""
    top = arguments.Parser(
        prog="bridge",
        description="OmniBridge in JAX: see, answer, draw, edit and find.",
        epilog="`bridge COMMAND --help` tells the arguments of a command.",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        file = f"{name}_" if keyword.iskeyword(name) else name
        module = importlib.import_module(f"bridge_jax.cli.{file}")
        one = arguments.add_command(commands, name, module)
        one.set_defaults(run=module.run)
    return top


if __name__ == "__main__":
    sys.exit(main())
