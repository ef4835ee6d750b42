"""Two sides in turn: they agree first, and are timed in alternating order."""

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bridge_jax.bench import piped
from bridge_jax.bench.side_by_side import case
from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError

TURN = 1.0  # seconds that a turn takes at least, if one run is shorter
_REST = 0.2  # seconds between turns: idle threads of the other side stop spinning
_PACKAGES = ("jax", "torch", "transformers", "diffusers")
_CHECKED = ("first", "second")  # a second training step depends on the first's update


@dataclasses.dataclass(frozen=True)
class Times:
    """Of one side.

    Attributes:
      first: seconds of the first run, which compiles.
      rounds: seconds a run, the median of each turn.
      peak: bytes held at most while it was timed, or None.
    """

    first: float
    rounds: tuple[float, ...]
    peak: int | None

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def compile(self) -> float:
        """Seconds that the first run took longer."""
        return max(0.0, self.first - self.median)

    def joined(self, later: "Times") -> "Times":
        """With the rounds of another hour; the first run is that of the later one."""
        peaks = [one.peak for one in (self, later) if one.peak is not None]
        rounds = self.rounds + later.rounds
        return Times(later.first, rounds, max(peaks, default=None))


@dataclasses.dataclass(frozen=True)
class Result:
    """Attributes:
    case, size, peer: what was compared with whom.
    error: largest difference of what the sides tell, relative.
    dtype: of weights and arithmetic.
    versions: of the packages that took part, by name.
    """

    case: str
    size: str
    peer: str
    ours: Times
    theirs: Times
    error: float
    dtype: str
    versions: dict[str, str]

    @property
    def ratios(self) -> list[float]:
        """Their time over ours, of each round: neighbours, so that drift cancels."""
        pairs = zip(self.theirs.rounds, self.ours.rounds, strict=True)
        return [theirs / ours for theirs, ours in pairs]

    @property
    def ratio(self) -> float:
        """More than 1 where ours is the faster."""
        return statistics.median(self.ratios)

    def joined(self, later: "Result") -> "Result":
        """The same race with the rounds of another hour.

        Other versions than before are another race: the later one.
        """
        if later.versions != self.versions:
            return later
        return dataclasses.replace(
            later,
            ours=self.ours.joined(later.ours),
            theirs=self.theirs.joined(later.theirs),
            error=max(self.error, later.error),
        )


class Disagreement(BridgeError):
    """Two sides whose times would mean nothing: they do not compute the same.

    Attributes:
      case, size, peer: who did not agree.
      error: by how much, of the largest value.
    """

    def __init__(self, case: str, size: str, peer: str, error: float, allowed: float):
        super().__init__(
            f"{case} at {size}: ours and {peer} differ by {error:.1e} of the largest"
            f" value, more than {allowed:.0e}; times would mean nothing"
        )
        self.case, self.size, self.peer, self.error = case, size, peer, error


def cores() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    name: str,
    size: str,
    peer: str,
    *,
    cores: int,
    rounds: int = 5,
    dtype: str = "float32",
) -> Result:
    """One case at one size.

    Args:
      cores: that each side may use, and threads it may start.
      dtype: of weights and arithmetic, a name of `case.COARSER`.

    Raises:
      Disagreement: the sides do not compute the same.
      BridgeError: no such case or size, or a side that does not start.
    """
    found = case.named(name)
    if size not in found.sizes:
        raise BridgeError(f"{name} has no size {size!r}: {', '.join(found.sizes)}")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:

        def start(side: str) -> piped.Piped:
            given = (name, side, size, folder, dtype)
            return stack.enter_context(_started(given, cores))

        # Theirs first: it makes the weights.
        theirs = start(peer)
        ours = start("ours")
        firsts = {}
        for side in (theirs, ours):
            asked = [side.ask(f"first {side.name}.{one}") for one in _CHECKED]
            firsts[side.name] = [told["seconds"][0] for told in asked]
        error = _disagreement(Path(folder), ours.name, theirs.name)
        tolerance = found.tolerance * case.COARSER[dtype]
        if not error <= tolerance:
            raise Disagreement(name, size, peer, error, tolerance)
        timed = _take_turns((ours, theirs), firsts, rounds)
    times = timed[ours.name], timed[theirs.name]
    return Result(name, size, peer, *times, error, dtype, _versions())


def _take_turns(
    sides: Sequence[piped.Piped], firsts: dict[str, list[float]], rounds: int
) -> dict[str, Times]:
    medians: dict[str, list[float]] = {side.name: [] for side in sides}
    peaks: dict[str, list[int]] = {side.name: [] for side in sides}
    for turn in range(rounds):
        for side in sides if turn % 2 == 0 else sides[::-1]:
            time.sleep(_REST)
            count = max(1, round(TURN / firsts[side.name][-1]))
            told = side.ask(f"run {count}")
            medians[side.name].append(statistics.median(told["seconds"]))
            if told["peak"] is not None:
                peaks[side.name].append(told["peak"])
    return {
        name: Times(firsts[name][0], tuple(each), max(peaks[name], default=None))
        for name, each in medians.items()
    }


def _disagreement(folder: Path, ours: str, theirs: str) -> float:
    """The largest error of any array, relative to the largest of its values."""
    worst = 0.0
    for one in _CHECKED:
        with (
            np.load(folder / f"{ours}.{one}.npz") as mine,
            np.load(folder / f"{theirs}.{one}.npz") as other,
        ):
            if mine.keys() != other.keys():
                return np.inf
            for name in other:
                worst = max(worst, difference(mine[name], other[name]))
    return worst


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest of any value, relative to their largest; infinite if not finite.

    Whole numbers, such as tokens, are alike or infinitely far apart.
    """
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return np.inf
    if ours.dtype.kind in "iub":
        return 0.0 if np.array_equal(ours, theirs) else np.inf
    gap = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    return float(gap.max() / (np.abs(theirs).max() or 1.0))


def _versions() -> dict[str, str]:
    there = [name for name in _PACKAGES if importlib.util.find_spec(name)]
    return {name: importlib.metadata.version(name) for name in there}


@contextlib.contextmanager
def _started(given: Sequence[str], cores: int) -> Iterator[piped.Piped]:
    name, side, size, _, dtype = given
    log.say(f"{name} {size} {dtype}: {side}")
    command = [sys.executable, "-m", f"{__package__}.process", *given]
    with piped.started(side, command, _environment(cores)) as process:
        if hasattr(os, "sched_setaffinity"):
            usable = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(process.pid, usable[:cores])
        process.answer()  # it is built
        yield process


def _environment(cores: int) -> dict[str, str]:
    """Equal threads for both; torch reads the first two, XLA the cores it may use."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(cores))
    # Both sides hold their weights on one card: neither may take it all.
    return dict(os.environ) | threads | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
