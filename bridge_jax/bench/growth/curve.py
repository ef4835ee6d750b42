"""Measured points of an axis, how fast they grow, and whether that is expected."""

import dataclasses
import math
import statistics
from collections.abc import Sequence

TIME = 1.25  # times the growth of the arithmetic that time may grow
MEMORY = 1.1  # times the growth of its order that memory may grow
LAST = 3  # points whose growth counts: at small ones, what is constant hides it


@dataclasses.dataclass(frozen=True)
class Point:
    """One size, of one device.

    Attributes:
      size: along the axis.
      flops: of one run, products alone.
      touched: bytes that XLA counts its operations to read and write.
      memory: bytes that the program takes for itself.
      seconds: of each round.
    """

    size: int
    flops: float
    touched: float
    memory: float
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclasses.dataclass(frozen=True)
class Curve:
    """Attributes:
    axis: its name.
    unit: what is counted along it.
    order: the power of the size that memory may grow with.
    points: sizes rising.
    """

    axis: str
    unit: str
    order: float
    points: tuple[Point, ...]

    @property
    def span(self) -> float:
        """How many times as large the last size is as the first that counts."""
        return self._growth([point.size for point in self.points])

    @property
    def time(self) -> float:
        """The power of the size that time grows with, among the last points."""
        return self._power([point.median for point in self.points])

    @property
    def flops(self) -> float:
        """The same of arithmetic: what time is allowed."""
        return self._power([point.flops for point in self.points])

    @property
    def touched(self) -> float:
        """The same of memory traffic, which explains time that grows faster."""
        return self._power([point.touched for point in self.points])

    @property
    def memory(self) -> float:
        """The same of memory."""
        return self._power([point.memory for point in self.points])

    @property
    def worse(self) -> list[str]:
        """What grows faster than it may, each with how much faster."""
        found = []
        for name, power, allowed, margin in (
            ("time", self.time, self.flops, TIME),
            ("memory", self.memory, self.order, MEMORY),
        ):
            ratio = self.span ** (power - allowed)
            if not ratio <= margin:
                found.append(f"{name} {ratio:.2f} x")
        return found

    def _growth(self, values: Sequence[float]) -> float:
        return values[-1] / values[-LAST:][0]

    def _power(self, values: Sequence[float]) -> float:
        growth = self._growth(values)
        return math.log(growth) / math.log(self.span) if growth > 0 else math.inf


def markdown(curves: Sequence[Curve]) -> str:
    """A line an axis: powers of the size, what they may be, and the verdict."""
    head = (
        "| what grows | from, to | time | arithmetic | traffic | memory | at most"
        " | at the largest | no worse than expected |"
    )
    lines = [head, f"|{'---|' * 9}"]
    lines += [f"| {' | '.join(_cells(curve))} |" for curve in curves]
    return "\n".join(lines)


def _cells(curve: Curve) -> tuple[str, ...]:
    last = curve.points[-1]
    verdict = f"WORSE: {', '.join(curve.worse)}" if curve.worse else "yes"
    sizes = [point.size for point in curve.points][-LAST:]
    return (
        curve.axis,
        f"{sizes[0]:,} to {sizes[-1]:,} {curve.unit}",
        f"{curve.time:.2f}",
        f"{curve.flops:.2f}",
        f"{curve.touched:.2f}",
        f"{curve.memory:.2f}",
        f"{curve.order:g}",
        f"{1e3 * last.median:,.0f} ms, {last.memory / 1e6:,.1f} MB",
        verdict,
    )
