"""Exact search among many vectors: ours, in full and by rounded ones, and numpy's.

Vectors of length 1 at random lie in an index on disk, which stays in the page cache.
The ways take turns at the same batch of queries; beside them stands how fast the
machine multiplies square matrices in the same minutes, for it is never the same. Memory
is the peak of a new process that opens the index and searches it once.
"""

import dataclasses
import multiprocessing
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.retrieval import changes, exact, reading
from bridge_jax.retrieval.segment import Segment

WANTED_SECONDS, WANTED_MEMORY = 0.5, 1.2  # a batch; of the vectors' bytes
_WRITTEN, _SQUARE, _ROUNDS_OF_SQUARE = 1 << 14, 2048, 3
_NUMPY_BLOCK = 1 << 14

Segments = tuple[Segment, ...]
Way = Callable[[Segments, np.ndarray, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Result:
    """Attributes:
    count, width: of the vectors.
    queries, k: of a batch.
    seconds: way -> of each batch.
    memory: way -> bytes at most.
    flops: FLOP/s of square float32 matrices, in each round.
    """

    count: int
    width: int
    queries: int
    k: int
    seconds: dict[str, tuple[float, ...]]
    memory: dict[str, int]
    flops: tuple[float, ...]

    @property
    def bytes(self) -> int:
        """Of the vectors as float32."""
        return 4 * self.count * self.width


def _default(segments: Segments, queries: np.ndarray, k: int) -> np.ndarray:
    return exact.search(segments, queries, k)[0]


def _in_full(segments: Segments, queries: np.ndarray, k: int) -> np.ndarray:
    return exact.search(segments, queries, k, in_full=True)[0]


def _numpy(segments: Segments, queries: np.ndarray, k: int) -> np.ndarray:
    """As one would write it: a product and a partition, block by block."""
    best, places = np.zeros((len(queries), 0), np.float32), None
    start = 0
    for one in segments:
        for i in range(0, len(one), _NUMPY_BLOCK):
            scores = queries @ one.vectors[i : i + _NUMPY_BLOCK].T
            few = min(k, scores.shape[1])
            rows = np.argpartition(-scores, few - 1, axis=1)[:, :few]
            found = rows + start + i
            best = np.concatenate([best, np.take_along_axis(scores, rows, 1)], axis=1)
            places = found if places is None else np.concatenate([places, found], 1)
        start += len(one)
    order = np.argsort(-best, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(places, order, axis=1)


WAYS: dict[str, Way] = {
    "`Index.search`": _default,
    "float32 in full": _in_full,
    "numpy": _numpy,
}


def measure(
    workdir: Path,
    count: int = 1_000_000,
    width: int = 1024,
    queries: int = 32,
    k: int = 10,
    rounds: int = 9,
) -> Result:
    """Write the index, unless it is there, and search it `rounds` times each way.

    Raises:
      BridgeError: the folder holds another index; two ways do not agree.
    """
    folder = workdir / "index"
    if not folder.exists():
        ids = [str(i) for i in range(count)]
        changes.replace(folder, _random(count, width), ids, width, "random")
    _, segments = reading.read(folder, "random")
    if (sum(map(len, segments)), segments[0].vectors.shape[1]) != (count, width):
        raise BridgeError(f"{folder} holds vectors of another shape; name a new folder")
    memory = {name: _peak(folder, name, queries, k) for name in WAYS}
    asked = _unit(np.random.default_rng(1), queries, width)
    answers = {name: way(segments, asked, k) for name, way in WAYS.items()}
    _check(answers, asked, segments)
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    flops = []
    for turn in log.progress(range(rounds), "searching"):
        flops.append(_flops())
        for name in list(WAYS)[:: -1 if turn % 2 else 1]:
            began = time.perf_counter()
            WAYS[name](segments, asked, k)
            seconds[name].append(time.perf_counter() - began)
    times = {name: tuple(some) for name, some in seconds.items()}
    return Result(count, width, queries, k, times, memory, tuple(flops))


def markdown(result: Result) -> str:
    """A table, one line a way, and what it is to be judged by."""
    size = result.bytes
    asked = f"{result.queries} queries, {result.count:,} x {result.width}"
    lines = [
        f"| {asked} | median | fastest | GB/s | peak memory |",
        "|---|---|---|---|---|",
    ]
    for name, times in result.seconds.items():
        median, memory = statistics.median(times), result.memory[name]
        rate = size / median / 1e9
        lines.append(
            f"| {name} | {median:.2f} s | {min(times):.2f} s | {rate:.1f}"
            f" | {memory / 1e9:.2f} GB, {memory / size:.2f} x the vectors |"
        )
    first = next(iter(result.seconds))
    missed = {
        "TOO SLOW": statistics.median(result.seconds[first]) > WANTED_SECONDS,
        "TOO BIG": result.memory[first] > WANTED_MEMORY * size,
    }
    verdict = ", ".join(name for name, is_so in missed.items() if is_so) or "met"
    speed = statistics.median(result.flops) / 1e12
    needed = 2 * result.queries * result.count * result.width / speed / 1e12
    wanted = f"{WANTED_MEMORY:g} x: {verdict}"
    alone = f"float32 products alone, at the machine's {speed:.3f} TFLOP/s"
    lines += [
        f"| wanted of the first | {WANTED_SECONDS:g} s | | | {wanted} |",
        f"| {alone} | {needed:.2f} s | | | |",
    ]
    return "\n".join(lines)


def _random(count: int, width: int) -> Iterator[np.ndarray]:
    draw = np.random.default_rng(0)
    for start in log.progress(range(0, count, _WRITTEN), "writing"):
        yield _unit(draw, min(_WRITTEN, count - start), width)


def _unit(draw: np.random.Generator, count: int, width: int) -> np.ndarray:
    rows = draw.standard_normal((count, width), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _check(
    answers: dict[str, np.ndarray], queries: np.ndarray, segments: Segments
) -> None:
    """Raises BridgeError unless all ways found the same, but for float32's rounding."""
    first, *others = (
        np.stack(
            [
                exact.scored(segments, query, row, len(row))[1]
                for query, row in zip(queries, found, strict=True)
            ]
        )
        for found in answers.values()
    )
    if any(np.abs(first - other).max() > 1e-6 for other in others):
        raise BridgeError(f"{', '.join(answers)} do not find the same")


def _flops() -> float:
    """FLOP/s of a product of square float32 matrices, the best of a few."""
    square = jnp.ones((_SQUARE, _SQUARE), jnp.float32)
    times = []
    for _ in range(_ROUNDS_OF_SQUARE + 1):
        began = time.perf_counter()
        jax.block_until_ready(_product(square))
        times.append(time.perf_counter() - began)
    return 2 * _SQUARE**3 / min(times[1:])


_product = jax.jit(lambda square: square @ square)


def _peak(folder: Path, way: str, queries: int, k: int) -> int:
    """Bytes that a new process has at most, what it maps of files included."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_searched, (folder, way, queries, k))


def _searched(folder: Path, way: str, queries: int, k: int) -> int:
    _, segments = reading.read(folder)
    width = segments[0].vectors.shape[1]
    WAYS[way](segments, _unit(np.random.default_rng(1), queries, width), k)
    said = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(said[1])
