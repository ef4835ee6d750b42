"""One work in a process of its own: a config comes in as a line, figures go out as one.

python -m bridge_jax.bench.card.process WORK ROUNDS < config.json
"""

import dataclasses
import json
import sys
from typing import TextIO

import jax

from bridge_jax.bench.card import ceilings, kernels, works
from bridge_jax.core import runtime

CEILINGS = "ceilings"  # beside the names of works


def main(name: str, rounds: int, given: TextIO, out: TextIO) -> None:
    """Print one line of JSON."""
    # Every compilation is told, so none comes from a cache.
    runtime.start({"BRIDGE_JAX_CACHE": ""})
    config = json.loads(next(given))
    if name == CEILINGS:
        told = {"device": jax.devices()[0].device_kind}
        told |= ceilings.measure() | {"errors": kernels.errors()}
    else:
        told = dataclasses.asdict(works.WORKS[name].measure(config, rounds))
    print(json.dumps(told), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.stdin, sys.stdout)
