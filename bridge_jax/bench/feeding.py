"""How much faster data comes than training takes it: in turns, the same batches.

Batches are read as a run reads them, with its threads, while nothing trains; steps are
taken on one batch that is there already.
"""

import dataclasses
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from bridge_jax.bench import fill
from bridge_jax.core import log
from bridge_jax.plan import abstract
from bridge_jax.train import recipe, state

WANTED = 3.0  # times as fast as a step


@dataclasses.dataclass(frozen=True)
class Result:
    """Seconds of each round, in order.

    Attributes:
      name: of the config.
      rows: of a batch, all streams together.
      reading: of one batch, while nothing trains.
      training: of one step, while nothing is read.
    """

    name: str
    rows: int
    reading: tuple[float, ...]
    training: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median of the ratios of neighbours: steps' time over batches'."""
        pairs = zip(self.training, self.reading, strict=True)
        return statistics.median(one / other for one, other in pairs)


def measure(name: str, config: Any, rounds: int = 7, batches: int = 6) -> Result:
    """Read `batches` batches and take as many steps, `rounds` times in turns.

    Raises:
      BridgeError: anything that the config gets wrong.
    """
    made = recipe.make(config)
    run, shapes, _ = abstract.training(made)
    # No time depends on values, so that nothing need be trained before.
    params = fill.random(shapes.params)
    at = state.create(params, run.optimizer, made.config.seed, made.layout)
    data = made.batches()
    batch = made.layout.put_batch(next(data))
    run.compile(at, batch)
    reading: list[float] = []
    training: list[float] = []
    for turn in log.progress(range(rounds + 1), name):
        for what in ("read", "train") if turn % 2 else ("train", "read"):
            began = time.perf_counter()
            if what == "read":
                # A fresh iterator: what another read ahead would cost nothing.
                source = made.batches()
                for _ in range(batches):
                    next(source)
                reading.append((time.perf_counter() - began) / batches)
            else:
                for _ in range(batches):
                    at, figures = run(at, batch)
                jax.block_until_ready(figures)
                training.append((time.perf_counter() - began) / batches)
    rows = sum(_rows(stream) for stream in made.config.streams.values())
    return Result(name, rows, tuple(reading[1:]), tuple(training[1:]))


def markdown(results: Sequence[Result]) -> str:
    """A table, one line a config."""
    lines = [
        f"| config | rows/s read | rows/s a step takes | ratio (want {WANTED:g}) |",
        "|---|---|---|---|",
    ]
    for one in results:
        read, taken = (
            one.rows / statistics.median(times) for times in (one.reading, one.training)
        )
        verdict = "" if one.ratio >= WANTED else ", TOO SLOW"
        lines.append(
            f"| {one.name} | {read:,.0f} | {taken:,.0f} | {one.ratio:.1f}{verdict} |"
        )
    return "\n".join(lines)


def _rows(stream: Mapping[str, Any]) -> int:
    return int(stream["batch"])
