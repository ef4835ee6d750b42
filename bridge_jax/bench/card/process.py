"""One work in a process of its own: reads a config, answers in lines of JSON.

    python -m bridge_jax.bench.card.process WORK ROUNDS

The first line it reads is the config; once it has compiled it says so, and waits for
any other line to measure.
"""

import dataclasses
import json
import sys
from typing import Any, TextIO

import jax

from bridge_jax.bench.card import ceilings, kernels, works
from bridge_jax.core import runtime

CEILINGS = "ceilings"  # beside the names of works


def main(name: str, rounds: int, commands: TextIO, out: TextIO) -> None:
    """Prepare, wait, measure."""
    # Every compilation is told, so none comes from a cache.
    runtime.start({"BRIDGE_JAX_CACHE": ""})
    config = json.loads(next(commands))
    if name == CEILINGS:
        _say(out, ready=True)
        next(commands)
        kind = jax.devices()[0].device_kind
        _say(out, device=kind, **ceilings.measure(), errors=kernels.errors())
        return
    measure = works.WORKS[name].prepare(config)
    _say(out, ready=True)
    next(commands)
    _say(out, **dataclasses.asdict(measure(rounds)))


def _say(out: TextIO, **what: Any) -> None:
    print(json.dumps(what), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.stdin, sys.stdout)
