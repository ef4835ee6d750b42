"""What a case is: one piece of work, done by two sides."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.bench.side_by_side import cases
from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError

SMALL = ("tiny", "small", "medium")
SIZES = (*SMALL, "2b", "7b", "g2")
# How much more two sides may differ than in float32.
COARSER = {"float32": 1.0, "bfloat16": 300.0}
LEARNING_RATE = 1e-4  # of training steps


@dataclasses.dataclass(frozen=True)
class Task:
    """Attributes:
    size: a name of SIZES.
    folder: theirs writes its weights below it, ours reads them from there.
    compiled: whether torch compiles.
    dtype: of both.
    """

    size: str
    folder: Path
    compiled: bool = False
    dtype: str = "float32"

    @property
    def weights(self) -> Path:
        """Where theirs leaves its weights, once."""
        return self.folder / "theirs"

    @property
    def imported(self) -> Path:
        """The same as ours, to be made."""
        return self.folder / "ours"


@dataclasses.dataclass(frozen=True)
class Side:
    """Attributes:
    run: does the work once, and returns when it is done.
    told: of what `run` returned, the arrays that both sides must agree on.
    """

    run: Callable[[], Any]
    told: Callable[[Any], Mapping[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Case:
    """Attributes:
    ours, theirs: make a side.
    items: size -> how many of `unit` one run works on.
    unit: what throughput counts.
    wanted: their time over ours that we are after, for eager torch.
    tolerance: on what is told, relative to its largest magnitude.
    sizes: those it exists at.
    """

    ours: Callable[[Task], Side]
    theirs: Callable[[Task], Side]
    items: Callable[[str], int]
    unit: str
    wanted: float = 1.0
    tolerance: float = 1e-4
    sizes: tuple[str, ...] = SMALL


def models() -> list[str]:
    """Names of the files in `cases/`."""
    return sorted(module.name for module in pkgutil.iter_modules(cases.__path__))


def of_model(model: str) -> Mapping[str, Case]:
    """What one file compares, by name."""
    return importlib.import_module(f"{cases.__name__}.{model}").CASES


def names() -> list[str]:
    """ "model/work" of all cases."""
    return [f"{model}/{work}" for model in models() for work in of_model(model)]


def named(name: str) -> Case:
    """The case "model/work".

    Raises:
      BridgeError: there is none.
    """
    if name not in (known := names()):
        raise BridgeError(
            f"no case {name!r}{suggest(name, known)}: there are {', '.join(known)}"
        )
    model, _, work = name.partition("/")
    return of_model(model)[work]


def make(name: str, side: str, task: Task) -> Side:
    """A side of a case, ready to run."""
    found = named(name)
    return (found.ours if side == "ours" else found.theirs)(task)
