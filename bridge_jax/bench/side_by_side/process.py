"""One side in a process of its own: reads commands, answers in lines of json.

    python -m bridge_jax.bench.side_by_side.process CASE SIDE SIZE FOLDER DTYPE

`first NAME` runs once and saves what is told as FOLDER/NAME.npz; `run N` runs N times.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from bridge_jax.bench.side_by_side import case
from bridge_jax.core import compiler, memory

# What each side is made of; the memory that these take is not the model's.
_LIBRARIES = {
    "ours": (f"{__package__}.ours",),
    "theirs": ("torch", "transformers", "diffusers", f"{__package__}.peers.sides"),
}
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main(given: list[str], commands: TextIO, out: TextIO) -> None:
    """Serve `commands` until they end."""
    name, side, size, folder, dtype = given
    if side == "ours":
        # As `bridge` does.
        memory.keep()
        compiler.tune()
    for library in _LIBRARIES["ours" if side == "ours" else "theirs"]:
        imported = importlib.import_module(library)
    if side == "ours":
        imported.start()
    libraries = _bytes("VmRSS")
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
            told = {name: _plain(one) for name, one in made.told(result).items()}
            np.savez(task.folder / f"{argument}.npz", **told)
            _say(out, seconds=[seconds])
        else:
            _say(out, **_timed(made, int(argument), libraries, imported.held))


def _plain(array: np.ndarray) -> np.ndarray:
    """An array that a file can hold: numpy's own know no bfloat16."""
    return array if array.dtype.kind in "iub" else array.astype(np.float32)


def _timed(
    made: case.Side, count: int, libraries: int, held: Callable[[], int | None]
) -> dict[str, Any]:
    """Seconds of `count` runs, and the most bytes held in them.

    Those of the device, where `held` knows them; else the process's own, beyond those
    of its `libraries`.
    """
    forgotten = _forget_peak()
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        made.run()
        seconds.append(time.perf_counter() - began)
    peak = _bytes("VmHWM") - libraries if forgotten else None
    if (on_device := held()) is not None:
        peak = on_device
    return {"seconds": seconds, "peak": peak}


def _forget_peak() -> bool:
    """Begin to look for the most memory anew; not every system lets one."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _bytes(name: str) -> int:
    """What the system says that this process holds, now or at most; 0 if nothing."""
    if not _STATUS.exists():
        return 0
    lines = _STATUS.read_text().splitlines()
    return 1024 * next(int(one.split()[1]) for one in lines if one.startswith(name))


def _say(out: TextIO, **what: Any) -> None:
    print(json.dumps(what), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdin, sys.stdout)
