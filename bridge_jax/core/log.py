"""What a run says: one line a window, a progress bar, TensorBoard, metrics.jsonl."""

import functools
import json
import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tensorboardX import SummaryWriter
from tqdm import tqdm

from bridge_jax.core import errors, unread

# These have their own place in the line; everything else follows the loss.
_HEAD = ("seconds", "flops_per_second", "samples_per_second", "loss")


def say(text: str) -> None:
    """Print one line from process 0, above the progress bar if there is one."""
    if jax.process_index() == 0:
        with unread.terminal_may_go():
            tqdm.write(text)
            sys.stdout.flush()


def progress(items: Iterable, description: str, total: int | None = None) -> tqdm:
    """`items` with a bar and an ETA on a terminal; silent elsewhere."""
    return tqdm(items, desc=description, total=total, disable=_no_terminal())


class Window:
    """Figures of the steps since the last report, merged as (sum, weight)."""

    def __init__(self):
        self._figures: dict[str, tuple[float, float]] = {}

    def add(self, figures: Mapping[str, tuple[float, float]]) -> None:
        for name, (value_sum, weight) in figures.items():
            old_sum, old_weight = self._figures.get(name, (0.0, 0.0))
            self._figures[name] = (
                old_sum + float(value_sum),
                old_weight + float(weight),
            )

    def close(self) -> dict[str, float]:
        """name -> sum / weight, without the names that weigh nothing; empties it."""
        figures, self._figures = self._figures, {}
        return {name: s / w for name, (s, w) in figures.items() if w}


def line(step: int, figures: Mapping[str, float]) -> str:
    """`completed step: N, seconds: s, TFLOP/s/device: x, samples/s: y, loss: z, ...`"""
    parts = [f"completed step: {step}", f"seconds: {figures.get('seconds', 0.0):.3f}"]
    parts += [
        f"TFLOP/s/device: {figures.get('flops_per_second', math.nan) / 1e12:.3f}",
        f"samples/s: {figures.get('samples_per_second', math.nan):.1f}",
        f"loss: {figures.get('loss', math.nan):.5f}",
    ]
    rest = {name: value for name, value in figures.items() if name not in _HEAD}
    return ", ".join(parts + [f"{name}: {value:.5g}" for name, value in rest.items()])


class Writer:
    """Reports of one run, in its work directory and on the terminal.

    metrics.jsonl holds one JSON object a window. Opening it at step n drops the
    windows after n, which the resumed run is about to write again.
    """

    def __init__(self, workdir: Path, total_steps: int, step: int = 0):
        self._main = jax.process_index() == 0
        self._bar = tqdm(
            total=total_steps,
            initial=step,
            desc=workdir.name,
            unit="step",
            disable=_no_terminal() or not self._main,
        )
        if self._main:
            workdir.mkdir(parents=True, exist_ok=True)
            self._metrics = workdir / "metrics.jsonl"
            _drop_after(self._metrics, step)
            self._purged = step + 1 if step else None

    @functools.cached_property
    def _events(self) -> SummaryWriter:
        """Its file tells that there is something to show."""
        folder = self._metrics.with_name("tensorboard")
        with errors.recording(folder):
            return SummaryWriter(str(folder), purge_step=self._purged)

    def advance(self, step: int) -> None:
        """Move the progress bar to `step`."""
        with unread.terminal_may_go():
            self._bar.update(step - self._bar.n)

    def scalars(self, step: int, figures: Mapping[str, float]) -> None:
        """Report one window: line, metrics.jsonl, TensorBoard."""
        say(line(step, figures))
        if not self._main:
            return
        with errors.recording(self._metrics), self._metrics.open("a") as file:
            file.write(json.dumps({"step": step} | dict(figures)) + "\n")
        for name, value in figures.items():
            self._events.add_scalar(name, value, step)

    def show(self, step: int, extras: Mapping[str, Any]) -> None:
        """Numbers and pictures [h, w, 3] uint8 of a hook, to TensorBoard."""
        if not self._main:
            return
        for name, value in extras.items():
            if np.ndim(value) == 0:
                self._events.add_scalar(name, float(value), step)
            else:
                self._events.add_image(name, value, step, dataformats="HWC")

    def close(self) -> None:
        with unread.terminal_may_go():
            self._bar.close()
        if "_events" in vars(self):
            with errors.recording(self._metrics.with_name("tensorboard")):
                self._events.close()


def _no_terminal() -> bool:
    return not sys.stderr.isatty()


def _drop_after(path: Path, step: int) -> None:
    if not path.is_file():
        return
    kept = []
    for text in path.read_text().splitlines():
        try:
            record = json.loads(text)
        except ValueError:
            continue  # cut short by a kill
        if record["step"] <= step:
            kept.append(text + "\n")
    staged = path.with_suffix(".partial")
    staged.write_text("".join(kept))
    staged.replace(path)
