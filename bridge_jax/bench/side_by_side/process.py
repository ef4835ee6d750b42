"""One side in a process of its own: reads commands, answers in lines of json.

    python -m bridge_jax.bench.side_by_side.process CASE SIDE SIZE FOLDER DTYPE

`first NAME` runs once and saves what is told as FOLDER/NAME.npz; `run N` runs N times.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from bridge_jax.bench.side_by_side import case
from bridge_jax.core import runtime

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main(given: list[str], commands: TextIO, out: TextIO) -> None:
    """Serve `commands` until they end."""
    name, side, size, folder, dtype = given
    if side == "ours":
        # Ours alone: torch has no use for jax's devices. What compiling takes is to be
        # told, so nothing is taken from earlier runs.
        runtime.start({"BRIDGE_JAX_CACHE": ""})
    began = time.perf_counter()
    task = case.Task(size, Path(folder), side == "torch.compile", dtype)
    made = case.make(name, side, task)
    _say(out, built=time.perf_counter() - began)
    for line in commands:
        command, _, argument = line.strip().partition(" ")
        if command == "first":
            began = time.perf_counter()
            result = made.run()
            seconds = time.perf_counter() - began
            np.savez(task.folder / f"{argument}.npz", **made.told(result))
            _say(out, seconds=[seconds])
        else:
            _say(out, **_timed(made, int(argument)))


def _timed(made: case.Side, count: int) -> dict[str, Any]:
    """Seconds of `count` runs, and the most memory held in them."""
    forgotten = _forget_peak()
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        made.run()
        seconds.append(time.perf_counter() - began)
    return {"seconds": seconds, "peak": _peak() if forgotten else None}


def _forget_peak() -> bool:
    """Begin to look for the most memory anew; not every system lets one."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _peak() -> int:
    """Bytes of memory that this process has held at most."""
    lines = _STATUS.read_text().splitlines()
    return 1024 * next(int(one.split()[1]) for one in lines if one.startswith("VmHWM"))


def _say(out: TextIO, **what: Any) -> None:
    print(json.dumps(what), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdin, sys.stdout)
