"""Figures and speed of the steps, gathered a window at a time."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from bridge_jax.core import hardware, log
from bridge_jax.train import hooks as hooks_lib
from bridge_jax.train.step import Step


class Meter:
    """Collects the steps' figures and their speed, a window for each hook."""

    def __init__(self, step: Step, hooks: Sequence[hooks_lib.Hook]):
        self._windows = {id(hook): log.Window() for hook in hooks}
        self._step = step
        self._peak = hardware.peak(step.layout.mesh.devices.flat[0].device_kind).flops
        self._pending: list[tuple[Any, int, float]] = []
        self.bad = 0  # skipped steps in a row
        self.restart()

    def restart(self) -> None:
        self._began = time.perf_counter()

    def keep(self, figures: Any, samples: int, waited: float) -> None:
        """A step of that many samples, for whose data the host waited so long (s)."""
        self._pending.append((figures, samples, waited))

    def block(self, step: int) -> None:
        """Wait for the steps in flight and add their figures to every window."""
        if not self._pending:
            return
        fetched = jax.device_get([figures for figures, _, _ in self._pending])
        now = time.perf_counter()
        seconds, self._began = now - self._began, now
        steps, samples = len(fetched), sum(count for _, count, _ in self._pending)
        waited = sum(seconds for _, _, seconds in self._pending)
        self._pending.clear()
        flops = self._step.flops * steps
        speed = {
            "seconds": (seconds, steps),
            "data_seconds": (waited, steps),
            "samples_per_second": (samples, seconds),
            "flops_per_second": (flops, seconds),
        }
        if not math.isnan(self._peak):
            speed["mfu"] = (flops / self._peak, seconds)
        fetched.append(speed)
        for window in self._windows.values():
            for figures in fetched:
                window.add(figures)
        for figures in fetched[:-1]:
            self.bad = self.bad + 1 if figures["skipped"][0] else 0

    def window(self, hook: hooks_lib.Hook) -> dict[str, float]:
        return self._windows[id(hook)].close()


def samples(batch: Any) -> int:
    """Rows of the batch, summed over its streams where it has several."""
    streams = [part for part in batch.values() if isinstance(part, Mapping)]
    parts = streams or [batch]
    return sum(
        max((leaf.shape[0] for leaf in jax.tree.leaves(part) if leaf.ndim), default=0)
        for part in parts
    )
