"""Where the time of a run went, over all its starts."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import jax

from bridge_jax.core import errors, log

FILE = "goodput.json"
# init: until the first step is compiled; data: waiting for a batch; checkpoint: what a
# save holds up; other: pictures and reports; lost: steps that a restart does again.
KINDS = ("init", "data", "step", "checkpoint", "other", "lost")


class Ledger:
    """A clock that always charges one of KINDS, as the host sees it.

    Waiting for data counts as that even while devices still compute, so `data` is the
    most that they may have been idle for it. Kept in `workdir`/goodput.json.
    """

    def __init__(self, workdir: Path, began: float | None = None):
        """`began` is the `time.perf_counter()` from which `init` counts."""
        self._path = workdir / FILE
        self._seconds = dict.fromkeys(KINDS, 0.0)
        self._saved: dict[int, float] = {}
        self._kind = "init"
        self._since = time.perf_counter() if began is None else began

    def resume(self, step: int) -> None:
        """Go on with the record of earlier starts; what they did after `step` is lost.

        A record that is missing or damaged is begun anew.
        """
        try:
            told = json.loads(self._path.read_text())
            seconds = {kind: float(told["seconds"][kind]) for kind in KINDS}
            saved = {int(name): float(value) for name, value in told["saved"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return
        kept = saved.get(step, 0.0)
        seconds["lost"] += seconds["step"] - kept
        seconds["step"] = kept
        for kind in KINDS:
            self._seconds[kind] += seconds[kind]
        self._saved = {name: value for name, value in saved.items() if name <= step}

    def charge(self, kind: str) -> None:
        """From now on time is spent on `kind`."""
        now = time.perf_counter()
        self._seconds[self._kind] += now - self._since
        self._kind, self._since = kind, now

    @contextlib.contextmanager
    def spending(self, kind: str) -> Iterator[None]:
        """Time inside is spent on `kind`, then on what it was spent on before."""
        before = self._kind
        self.charge(kind)
        try:
            yield
        finally:
            self.charge(before)

    def saved(self, step: int) -> None:
        """A checkpoint of `step` is being written: work up to it is not lost."""
        self.charge(self._kind)
        self._saved[step] = self._seconds["step"]

    def seconds(self) -> Mapping[str, float]:
        """So far, by kind."""
        self.charge(self._kind)
        return dict(self._seconds)

    def goodput(self) -> float:
        """The share of all time that went into steps that count."""
        seconds = self.seconds()
        return seconds["step"] / max(sum(seconds.values()), 1e-9)

    def write(self) -> None:
        """Put the record into the work directory, from process 0."""
        told = {"seconds": self.seconds(), "saved": self._saved}
        if jax.process_index() == 0:
            staged = self._path.with_suffix(".partial")
            with errors.recording(self._path):
                staged.write_text(json.dumps(told) + "\n")
                staged.replace(self._path)

    def say(self) -> None:
        """The summary, one line."""
        seconds = self.seconds()
        parts = ", ".join(f"{kind} {seconds[kind]:.1f}" for kind in KINDS)
        log.say(
            f"goodput: {self.goodput():.1%} of {sum(seconds.values()):.1f} s ({parts})"
        )
