"""One job: train with its config, evaluate what came of it; go on where it stopped.

OUT/ARM/seed_S/run          the work directory of the training run
OUT/ARM/seed_S/evaluation   metrics.json and pictures, see `eval.run`
"""

import importlib
import json
from pathlib import Path
from typing import Any

from bridge_jax.core import config as config_lib
from bridge_jax.core.errors import BridgeError
from bridge_jax.eval import options as options_lib
from bridge_jax.eval import records
from bridge_jax.eval import run as evaluation
from bridge_jax.inference import load
from bridge_jax.lab.experiment import Job
from bridge_jax.train import recipe

RUN, EVALUATION = "run", "evaluation"
_SHOWN = 5  # keys told when a folder holds another config's run


def run(job: Job, out: Path) -> dict[str, Any]:
    """Do what is missing of `job` below `out`, and return its metrics.

    Raises:
      BridgeError: the folder holds a run of another config; what training and
        evaluating raise.
    """
    folder, config = job.folder(out), job.config()
    check(job, out)
    if not _is_trained(folder):
        entry = config.get("entry", "pretrain")
        trainer = importlib.import_module(f"bridge_jax.train.{entry}")
        trainer.run(config, folder / RUN, "auto")
    measure = job.experiment.measure
    if not measure.tasks:
        return {}
    return evaluation.evaluate(
        load.load(folder / RUN / recipe.WEIGHTS),
        measure.tasks,
        measure.split,
        folder / EVALUATION,
        limit=measure.limit,
        resume=True,
        **measure.options,
    )


def check(job: Job, out: Path) -> None:
    """Without touching a device.

    Raises:
      BridgeError: its config cannot be built, or `out` holds it with another one.
    """
    try:
        recipe.check(job.config())
    except BridgeError as error:
        raise BridgeError(f"{job.arm}: {error}") from None
    path = job.folder(out) / RUN / "config.json"
    if not path.is_file():
        return
    old, new = records.read_json(path), config_lib.plain(job.config())
    if changed := _differing(old, json.loads(json.dumps(new))):
        raise BridgeError(
            f"{path.parent} holds a run of another config: {'; '.join(changed)}; name"
            " another --out, or remove that folder"
        )


def is_done(job: Job, out: Path) -> bool:
    """Whether nothing is left to do, told without loading anything."""
    path = job.folder(out) / EVALUATION / evaluation.METRICS
    measure = job.experiment.measure
    if not _is_trained(job.folder(out)):
        return False
    if not measure.tasks or not path.is_file():
        return not measure.tasks
    options = options_lib.Options(**measure.options).limited(measure.limit)
    metrics = records.read_json(path)
    return metrics["settings"]["split"] == measure.split and all(
        evaluation.is_done(metrics, task, options) for task in measure.tasks
    )


def is_started(job: Job, out: Path) -> bool:
    return (job.folder(out) / RUN).is_dir()


def _is_trained(folder: Path) -> bool:
    return (folder / RUN / recipe.WEIGHTS / "config.json").is_file()


def _differing(old: Any, new: Any, place: str = "") -> list[str]:
    """The keys that differ, with both values."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{place} was {old!r} and is {new!r}"]
    found = []
    for name in sorted(old.keys() | new.keys()):
        below = f"{place}.{name}" if place else name
        found += _differing(old.get(name), new.get(name), below)
    return found[:_SHOWN]
