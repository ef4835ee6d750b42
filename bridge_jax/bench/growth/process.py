"""Points of one axis in a process of its own: reads commands, answers in json.

    python -m bridge_jax.bench.growth.process AXIS SIZE...

It says {"flops", "touched", "memory"} of each size as it is compiled, then runs the
size of each line that it reads, and says how many seconds that took. All are one
device's share.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import jax

from bridge_jax.bench.growth import axes
from bridge_jax.core import flops, runtime


def main(given: Sequence[str], commands: TextIO, out: TextIO) -> None:
    """Serve `commands` until they end."""
    runtime.start({"BRIDGE_JAX_CACHE": ""})
    axis = axes.AXES[given[0]]
    made = {}
    for size in given[1:]:
        made[size], figures = _compiled(axis.make(int(size)))
        _say(out, figures)
    for line in commands:
        _say(out, {"seconds": made[line.strip()]()})


def _compiled(work: axes.Work) -> tuple[Callable[[], float], dict[str, float]]:
    """(runs once and returns seconds, what is known of it), of one device's share."""
    layout = work.layout
    devices = layout.mesh.size if layout is not None else 1
    arguments = work.arguments
    if layout is None:
        arguments = jax.device_put(arguments)
    traced = jax.jit(work.function).trace(*arguments)
    program = traced.lower().compile()
    needs = program.memory_analysis().temp_size_in_bytes
    count = flops.count(traced.jaxpr, ()).hardware

    def run() -> float:
        began = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        return (time.perf_counter() - began) / devices

    run()  # the first touches memory that is new
    touched = program.cost_analysis()["bytes accessed"]  # of one device's program
    return run, {"flops": count / devices, "touched": touched, "memory": needs}


def _say(out: TextIO, what: Any) -> None:
    print(json.dumps(what), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdin, sys.stdout)
