"""What hashing adds to a save: ours against stock Orbax, in turns, the same arrays.

Each save is waited for, so the time is from the call until the step counts.
"""

import dataclasses
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from bridge_jax.checkpoint import manager, manifest
from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError

ALLOWED = 1.10  # of stock Orbax's time
ARRAYS = 32


@dataclasses.dataclass(frozen=True)
class Result:
    """Seconds of each save, in the order in which they were made.

    `hashes`: of hashing once more what each of ours wrote. A disk that is written to
    has moods; what hashing adds at least does not depend on them.
    """

    bytes: int
    ours: tuple[float, ...]
    stock: tuple[float, ...]
    hashes: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median of the ratios of neighbours."""
        pairs = zip(self.ours, self.stock, strict=True)
        return statistics.median(one / other for one, other in pairs)


class _NoData:
    """An iterator without a position."""

    def get_state(self) -> dict[str, int]:
        return {}

    def set_state(self, state: Any) -> None:
        del state


def measure(workdir: Path, gigabytes: float = 2.0, rounds: int = 21) -> Result:
    """Save random float32 arrays `rounds` times each way; the first pair is not kept.

    Raises:
      BridgeError: a folder that would be overwritten.
    """
    folders = workdir / "ours", workdir / "stock"
    there = [str(folder) for folder in folders if folder.exists()]
    if there:
        raise BridgeError(f"{', '.join(there)} would be overwritten; name a new folder")
    count = int(gigabytes * 1e9 / 4 / ARRAYS)
    draw = np.random.default_rng(0)
    params = {
        f"array_{i}": jnp.asarray(draw.standard_normal(count, np.float32))
        for i in range(ARRAYS)
    }
    jax.block_until_ready(params)
    ways = (_ours, _stock)
    seconds: tuple[list[float], list[float]] = ([], [])
    hashes: list[float] = []
    try:
        for turn in log.progress(range(rounds + 1), "saving"):
            # Who goes first changes, so that neither always finds the warmer disk.
            for i in (0, 1) if turn % 2 else (1, 0):
                seconds[i].append(_timed(ways[i], folders[i], params))
            hashes.append(_hashed(folders[0]))
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    ours, stock = (tuple(one[1:]) for one in seconds)
    return Result(4 * count * ARRAYS, ours, stock, tuple(hashes[1:]))


def markdown(result: Result) -> str:
    """A table, one line a way."""
    lines = ["| save | size | median | spread |", "|---|---|---|---|"]
    rows = {
        "with hashes": result.ours,
        "stock Orbax": result.stock,
        "hashes alone": result.hashes,
    }
    for name, times in rows.items():
        lines.append(
            f"| {name} | {result.bytes / 1e9:.1f} GB | {statistics.median(times):.2f} s"
            f" | {min(times):.2f} to {max(times):.2f} s |"
        )
    verdict = "" if result.ratio <= ALLOWED else ", EXCEEDED"
    lines.append(
        f"| ratio, median of {len(result.ours)} pairs | | {result.ratio:.3f} |"
        f" allowed {ALLOWED:.2f}{verdict} |"
    )
    return "\n".join(lines)


def _timed(save: Callable[[Path, Any], None], folder: Path, params: Any) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    save(folder, params)
    return time.perf_counter() - began


def _hashed(folder: Path) -> float:
    files = [file for file in folder.rglob("*") if file.is_file()]
    began = time.perf_counter()
    manifest.entries(files)
    return time.perf_counter() - began


def _ours(folder: Path, params: Any) -> None:
    checkpoints = manager.Checkpoints(folder)
    about = manager.About({}, {})
    checkpoints.save(1, params, None, {"step": jnp.int32(1)}, _NoData(), about)
    checkpoints.wait()
    checkpoints.close()


def _stock(folder: Path, params: Any) -> None:
    with ocp.CheckpointManager(folder.resolve()) as stock:
        rest = ocp.args.StandardSave({"step": jnp.int32(1)})
        items = ocp.args.Composite(params=ocp.args.StandardSave(params), rest=rest)
        stock.save(1, args=items)
        stock.wait_until_finished()
