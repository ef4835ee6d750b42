"""What happens at intervals around the loop: reports, checkpoints, pictures."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from bridge_jax.checkpoint import manager, position
from bridge_jax.core import log
from bridge_jax.core.types import Params
from bridge_jax.train import goodput
from bridge_jax.train.state import TrainState


@runtime_checkable
class Hook(Protocol):
    """Called after every `every`-th step; not at all if `every` is 0.

    `figures` are means over the steps since this hook ran last. The state's arrays
    are donated to the next step: copy what is to be kept. What it returns, name ->
    number or picture [h, w, 3] uint8, goes to TensorBoard.
    """

    every: int

    def __call__(
        self, step: int, state: TrainState, figures: Mapping[str, float]
    ) -> Mapping[str, Any] | None: ...


class Report:
    """Writes the window's figures, and the goodput up to here."""

    def __init__(self, every: int, writer: log.Writer, ledger: goodput.Ledger):
        self.every = every
        self._writer = writer
        self._ledger = ledger

    def __call__(
        self, step: int, state: TrainState, figures: Mapping[str, float]
    ) -> None:
        self._writer.scalars(step, {**figures, "goodput": self._ledger.goodput()})
        self._ledger.write()


class Save:
    """Checkpoints the state with the position of the data."""

    def __init__(
        self,
        every: int,
        checkpoints: manager.Checkpoints,
        data: position.Iterator,
        about: manager.About,
        ledger: goodput.Ledger,
    ):
        self.every = every
        self._ledger = ledger
        self._checkpoints = checkpoints
        self._data = data
        self._about = about
        self._last = checkpoints.latest()

    def __call__(
        self, step: int, state: TrainState, figures: Mapping[str, float]
    ) -> None:
        if step == self._last:
            return
        with self._ledger.spending("checkpoint"):
            self._ledger.saved(step)
            self._checkpoints.save(
                step, state.params, state.ema, state.rest(), self._data, self._about
            )
        self._last = step


class Pictures:
    """Draws with the averaged parameters: FOLDER/NAME_STEP.png and TensorBoard."""

    def __init__(
        self,
        every: int,
        draw: Callable[[Params, int], Mapping[str, Any]],
        folder: str | Path,
    ):
        """draw(params, step) -> name -> picture [h, w, 3] uint8."""
        self.every = every
        self._draw = draw
        self._folder = Path(folder)

    def __call__(
        self, step: int, state: TrainState, figures: Mapping[str, float]
    ) -> Mapping[str, np.ndarray]:
        self._folder.mkdir(parents=True, exist_ok=True)
        drawn = self._draw(state.averaged(), step)
        pictures = {name: np.asarray(drawn[name], np.uint8) for name in drawn}
        for name, pixels in pictures.items():
            Image.fromarray(pixels).save(self._folder / f"{name}_{step:07d}.png")
        return pictures
