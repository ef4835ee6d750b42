"""Ours beside theirs, and whether they agree."""

import dataclasses
from typing import Any

import numpy as np

# Relative to the recorded array's largest magnitude, float32. Fixed for good.
SINGLE = 1e-5  # one layer or loss
COMPOSED = 1e-4  # a composed module
EXACT = 0.0  # integers, and weights that went in and out


@dataclasses.dataclass(frozen=True)
class Value:
    """What we compute for one recorded array.

    Attributes:
      name: of the recorded array, in full.
      ours: array of its shape.
      tolerance: SINGLE, COMPOSED or EXACT.
      where: bool array over leading axes; elsewhere neither side means anything.
      largest: what errors are relative to, if not the recorded array's largest
        magnitude: for what is zero in mathematics, and rounding on both sides.
    """

    name: str
    ours: Any
    tolerance: float
    where: np.ndarray | None = None
    largest: float | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table: one array, or one check of all weights."""

    name: str
    shape: tuple[int, ...]
    absolute: float
    relative: float
    tolerance: float

    @property
    def holds(self) -> bool:
        return self.relative <= self.tolerance  # never true of nan


def compare(value: Value, theirs: np.ndarray) -> Row:
    """The largest error of one array."""
    ours, theirs = np.asarray(value.ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        return failed(value.name, theirs.shape, value.tolerance)
    shape = theirs.shape
    if value.where is not None:
        ours, theirs = ours[value.where], theirs[value.where]
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    absolute = float(np.max(np.abs(ours - theirs), initial=0.0))
    if not np.isfinite(ours).all():
        absolute = np.inf
    largest = value.largest or float(np.max(np.abs(theirs), initial=0.0)) or 1.0
    return Row(value.name, shape, absolute, absolute / largest, value.tolerance)


def failed(name: str, shape: tuple[int, ...], tolerance: float = EXACT) -> Row:
    """The row of an array for which there is nothing to compare."""
    return Row(name, shape, np.inf, np.inf, tolerance)
