"""Serve a model: OpenAI's endpoints, and a page to play with.

    bridge serve --model shapes-tiny
    bridge serve --model shapes-tiny --index index --port 8080

Any client of OpenAI's works with http://localhost:8000/v1. Only this machine can use
it, unless there is a token (--token, or $BRIDGE_JAX_TOKEN, which other users of the
machine cannot see). Nothing is encrypted: put a proxy with TLS before it. On SIGTERM or
Ctrl-C running requests finish; the second one ends it at once.
"""

import argparse
import os
from pathlib import Path

from bridge_jax.cli import arguments
from bridge_jax.core.errors import BridgeError
from bridge_jax.serve import limits as limits_lib

TOKEN = "BRIDGE_JAX_TOKEN"
_LAST_PORT = 2**16 - 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=arguments.natural,
        default=8000,
        help="0 for any that is free (default: %(default)s)",
    )
    parser.add_argument("--token", help=f"what clients must send (or ${TOKEN})")
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a further name that the server is reached by, such as a proxy's",
    )
    parser.add_argument(
        "--index",
        type=Path,
        help="folder made by `bridge embed`, to search on the page",
    )
    parser.add_argument(
        "--cold",
        action="store_true",
        help="start at once: the first request of each kind waits for its programs",
    )
    arguments.add_model(parser)
    limits_lib.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    if args.port > _LAST_PORT:
        raise BridgeError(f"--port {args.port} is not from 0 to {_LAST_PORT}")
    token = args.token if args.token is not None else os.environ.get(TOKEN)
    limits = limits_lib.of(args)
    try:
        from bridge_jax.serve import run, search, security, served
    except ModuleNotFoundError as error:
        raise BridgeError(
            f"{error.name} is not installed, which a server needs:"
            " pip install 'bridge_jax[serve]'"
        ) from None
    asked = security.Security(args.host, token, tuple(args.name))
    if args.index is not None and not args.index.is_dir():
        raise BridgeError(f"there is no index {args.index}; make one: bridge embed")
    with run.bind(args.host, args.port) as listener:
        model = arguments.load(args)
        from bridge_jax.serve import loaded, warmup

        shelf = None
        if args.index is not None:
            from bridge_jax import retrieval

            shelf = search.Shelf(retrieval.Index.open(args.index, model.fingerprint))
        name = os.path.basename(os.path.normpath(args.model))
        backend = loaded.Loaded(model, limits.rows)
        if not args.cold:
            warmup.warm_up(backend)
        run.serve(served.Served(backend, name, limits, shelf), asked, listener)
