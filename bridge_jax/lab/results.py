"""What finished jobs left: figures, learning curves, pictures."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from bridge_jax.core.errors import BridgeError
from bridge_jax.eval import records
from bridge_jax.eval import run as evaluation
from bridge_jax.lab import job as job_lib
from bridge_jax.lab.experiment import Experiment
from bridge_jax.train import recipe

Seeds = Mapping[int, Mapping[str, float]]  # seed -> figure -> value
_PREFIX = "seed_"


@dataclasses.dataclass(frozen=True)
class Results:
    """Attributes:
    figures: arm -> seed -> figure -> value, arms in the experiment's order.
    folders: (arm, seed) -> the job's folder.
    """

    figures: Mapping[str, Seeds]
    folders: Mapping[tuple[str, int], Path]

    def series(self, arm: str, figure: str) -> dict[int, float]:
        """seed -> value, of the seeds that have it."""
        return {
            seed: found[figure]
            for seed, found in self.figures.get(arm, {}).items()
            if figure in found
        }

    def curve(self, arm: str, name: str) -> dict[int, dict[int, float]]:
        """seed -> step -> value of a term in the training log."""
        found = {}
        for seed in self.figures.get(arm, {}):
            path = self.folders[arm, seed] / job_lib.RUN / "metrics.jsonl"
            windows = records.read_lines(path) if path.is_file() else []
            values = {w["step"]: w[name] for w in windows if name in w}
            if values:
                found[seed] = values
        return found


def read(experiment: Experiment, out: Path) -> Results:
    """The jobs of `experiment` that are done, below `out`.

    Raises:
      BridgeError: none is.
    """
    done = [job for job in experiment.jobs() if job_lib.is_done(job, out)]
    if not done:
        raise BridgeError(f"no job of this experiment is done in {out}; run it first")
    folders = {(job.arm, job.seed): job.folder(out) for job in done}
    return _gathered(experiment.changes(), folders)


def read_arm(folder: Path) -> Results:
    """One arm by its folder, OUT/ARM, whatever experiment it is of.

    Raises:
      BridgeError: it holds no seed that is trained.
    """
    found = {
        int(path.name.removeprefix(_PREFIX)): path
        for path in sorted(folder.glob(f"{_PREFIX}*"))
        if (path / job_lib.RUN / recipe.WEIGHTS / "config.json").is_file()
    }
    if not found:
        raise BridgeError(
            f"{folder} is no arm of an experiment: it holds no"
            f" {_PREFIX}N/{job_lib.RUN}/{recipe.WEIGHTS}"
        )
    folders = {(folder.name, seed): path for seed, path in found.items()}
    return _gathered([folder.name], folders)


def _gathered(arms: Iterable[str], folders: Mapping[tuple[str, int], Path]) -> Results:
    figures: dict[str, dict[int, dict[str, float]]] = {}
    for arm in arms:
        for (name, seed), folder in folders.items():
            if name == arm:
                figures.setdefault(arm, {})[seed] = _figures(folder)
    return Results(figures, folders)


def _figures(folder: Path) -> dict[str, float]:
    file = folder / job_lib.EVALUATION / evaluation.METRICS
    metrics = records.read_json(file) if file.is_file() else {}
    log = folder / job_lib.RUN / "metrics.jsonl"
    windows = records.read_lines(log) if log.is_file() else []
    last = {f"train/{name}": value for name, value in (windows or [{}])[-1].items()}
    return {
        name: float(value)
        for name, value in {**metrics, **last}.items()
        if isinstance(value, int | float)
    }
