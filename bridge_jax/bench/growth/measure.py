"""Measure axes, one after another; their points in turn, in alternating order."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from bridge_jax.bench import piped
from bridge_jax.bench.growth import axes
from bridge_jax.bench.growth.curve import Curve, Point
from bridge_jax.core import log, runtime


def measure(
    names: Sequence[str] = tuple(axes.AXES), rounds: int = 7
) -> tuple[Curve, ...]:
    """A curve for each axis of these names.

    Raises:
      BridgeError: a process that measures stopped.
    """
    return tuple(_curve(name, axes.AXES[name], rounds) for name in names)


def _curve(name: str, axis: axes.Axis, rounds: int) -> Curve:
    with contextlib.ExitStack() as stack:
        processes: dict[int, piped.Piped] = {}
        if axis.simulated:
            for size in axis.sizes:
                # Never one device: a CPU that is alone has programs of its own.
                one = stack.enter_context(_started(name, [size], max(2, size)))
                processes[size] = one
        else:
            shared = stack.enter_context(_started(name, axis.sizes, 1))
            processes = dict.fromkeys(axis.sizes, shared)
        figures = {size: processes[size].answer() for size in axis.sizes}
        seconds: dict[int, list[float]] = {size: [] for size in axis.sizes}
        for turn in log.progress(range(rounds), f"growth: {name}"):
            for size in axis.sizes if turn % 2 == 0 else axis.sizes[::-1]:
                seconds[size].append(processes[size].ask(str(size))["seconds"])
    points = tuple(
        Point(size, seconds=tuple(seconds[size]), **figures[size])
        for size in axis.sizes
    )
    return Curve(name, axis.unit, axis.memory, points)


@contextlib.contextmanager
def _started(name: str, sizes: Sequence[int], devices: int) -> Iterator[piped.Piped]:
    """A process that compiles these sizes; ended with the context."""
    words = [sys.executable, "-m", "bridge_jax.bench.growth.process", name]
    environment = runtime.simulated_environment(devices, os.environ)
    with piped.started(name, [*words, *map(str, sizes)], environment) as process:
        yield process
