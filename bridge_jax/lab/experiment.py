"""An experiment: a base config, its arms, seeds, and how the ends are measured.

configs/ablate_objectives.py:

    base = "configs/shapes_stage2.py:quickstart"
    every = {"total_steps": 600}
    arms = {"no_diffusion": {"objectives": {"diffusion": None}}}
    axes = {"rate": {"low": {...}, "high": {...}}}     # crossed with each other
    seeds = (0, 1, 2)
"""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bridge_jax.core import config as config_lib
from bridge_jax.core import rooms
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import streams
from bridge_jax.eval import options as options_lib
from bridge_jax.lab import patch

BASELINE = "baseline"
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclasses.dataclass(frozen=True)
class Measure:
    """What is evaluated at the end of a run; see `eval.run.evaluate`.

    Attributes:
      tasks: may be empty, where the training log says all there is to know.
      options: fields of `eval.options.Options`.
      limit: at most so many questions, prompts, edits and scenes.
    """

    tasks: tuple[str, ...] = ("generation", "retrieval")
    split: str = "heldout"
    limit: int | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """See the module's text; changes are merge patches, see `patch`.

    Attributes:
      base: the config that every arm changes, as `bridge train --config` takes it.
      every: a change for all arms, the baseline too.
      arms: name -> change. The baseline, which changes nothing, is always there.
      axes: axis -> {label: change}; every combination is an arm, "label+label".
      seeds: of each arm; the same seed sees the same data and noise in every arm.
      measure: how the ends are measured.
      figures: what the table shows, in its order: keys of metrics.json, or "train/NAME"
        for what the training log says of its last window.
      groups: title -> arms that are shown together; all together where there are none.
      curves: terms of the training log that are drawn.
      shown: prompts whose pictures the report puts side by side.
    """

    base: str
    figures: tuple[str, ...]
    every: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    arms: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    axes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    measure: Measure = Measure()
    groups: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    curves: tuple[str, ...] = ("loss",)
    shown: int = 6

    def changes(self) -> dict[str, tuple[Mapping[str, Any], ...]]:
        """Arm -> its changes, one after the other.

        The baseline comes first, then the arms as the groups list them: a ConfigDict
        keeps no order of its own.
        """
        found: dict[str, tuple[Mapping[str, Any], ...]] = {BASELINE: ()}
        grouped = [name for group in self.groups.values() for name in group]
        order = [name for name in dict.fromkeys(grouped) if name in self.arms]
        order += [name for name in self.arms if name not in order]
        found |= {name: (self.arms[name],) for name in order}
        if self.axes:
            for labels in itertools.product(*self.axes.values()):
                picked = zip(self.axes.values(), labels, strict=True)
                found["+".join(labels)] = tuple(axis[label] for axis, label in picked)
        return found

    def together(self) -> dict[str, tuple[str, ...]]:
        """Title -> arms, of what is shown together."""
        if not self.groups:
            return {"all arms": tuple(self.changes())}
        return {title: tuple(arms) for title, arms in self.groups.items()}

    def jobs(self) -> list["Job"]:
        """Every (arm, seed): all arms of the first seed, then of the next."""
        changes = self.changes()
        return [
            Job(self, arm, seed, changes[arm]) for seed in self.seeds for arm in changes
        ]


@dataclasses.dataclass(frozen=True)
class Job:
    """One arm with one seed: a training run and its evaluation."""

    experiment: Experiment
    arm: str
    seed: int
    changes: tuple[Mapping[str, Any], ...]

    @property
    def name(self) -> str:
        return f"{self.arm}/seed_{self.seed}"

    def folder(self, out: Path) -> Path:
        """`out`/ARM/seed_S, which holds `run` and `evaluation`."""
        return out / self.name

    def config(self) -> ConfigDict:
        """What it trains with; "{seed}" in `init_from` is the job's own.

        Raises BridgeError for a base that cannot be read.
        """
        base = config_lib.load(self.experiment.base)
        made = patch.patched(base, self.experiment.every, *self.changes)
        with made.unlocked():
            made.seed = self.seed
            for part, source in made.init_from.items():
                made.init_from[part] = source.replace("{seed}", str(self.seed))
            for name, stream in made.streams.items():
                if _has_seed(name, stream):
                    stream.seed = self.seed
        return made


def load(config: ConfigDict | Mapping[str, Any]) -> Experiment:
    """An experiment from its config.

    Raises:
      BridgeError: every wrong key, name and seed at once.
    """
    experiment = config_lib.to_dataclass(Experiment, config, "experiment")
    arms = [*experiment.arms, *(x for axis in experiment.axes.values() for x in axis)]
    problems = [
        f"arm {name!r}: a name is letters, digits and _ . + -"
        for name in arms
        if not _NAME.fullmatch(name)
    ]
    problems += [f"there are two arms {name!r}" for name in _twice(arms)]
    if BASELINE in arms:
        problems.append(f"the arm {BASELINE!r} is always there and changes nothing")
    if not experiment.seeds:
        problems.append("experiment.seeds is empty; give at least one")
    problems += [f"seed {seed} is given twice" for seed in _twice(experiment.seeds)]
    known = experiment.changes()
    problems += [
        f"groups.{title} names {arm!r}, which is no arm{config_lib.suggest(arm, known)}"
        for title, arms in experiment.groups.items()
        for arm in arms
        if arm not in known
    ]
    options = dict(experiment.measure.options)
    try:
        config_lib.to_dataclass(options_lib.Options, options, "measure.options")
    except BridgeError as error:
        problems.append(str(error))
    if problems:
        raise BridgeError("; ".join(problems))
    return experiment


def _twice(values: Iterable[Any]) -> list[Any]:
    values = list(values)
    return [v for v in dict.fromkeys(values) if values.count(v) > 1]


def _has_seed(name: str, given: Mapping[str, Any]) -> bool:
    source = given.get("source", name)
    cls = rooms.load(streams.__name__, source, "Stream", f"streams.{name}")
    return "seed" in {field.name for field in dataclasses.fields(cls)}
