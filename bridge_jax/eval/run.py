"""Evaluating: the chosen tasks one after another, and metrics.json.

    metrics = run.evaluate(model, ("vqa", "retrieval"), "test", Path("out"))
    metrics["vqa/exact_match"], metrics["settings"]["weights"]

metrics.json is written after every task, so an interrupted evaluation keeps what it
has; `resume=True` then does only what is missing.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bridge_jax.core import config as config_lib
from bridge_jax.core import log, trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import shapes_world
from bridge_jax.eval import (
    consistency,
    editing,
    generation,
    records,
    retrieval,
    understanding,
)
from bridge_jax.eval.options import CONDITIONS, Options
from bridge_jax.eval.system import System

TASKS: dict[str, Callable[[System, str, Path, Options], dict[str, float]]] = {
    "vqa": understanding.evaluate,
    "generation": generation.evaluate,
    "editing": editing.evaluate,
    "retrieval": retrieval.evaluate,
    "consistency": consistency.evaluate,
}
METRICS = "metrics.json"


def evaluate(
    model: System,
    tasks: Sequence[str],
    split: str,
    out: Path,
    *,
    limit: int | None = None,
    resume: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Run `tasks` (names of TASKS) on a split of the shapes world.

    Args:
      out: gets metrics.json and a folder for each task. Another evaluation of the same
        weights on the same split may be there already; its other tasks stay.
      limit: at most so many questions, prompts, edits and scenes.
      resume: leave out tasks that are done with the same options.
      options: fields of `options.Options`.

    Returns:
      What metrics.json holds: "task/figure" -> number, and "settings".

    Raises:
      BridgeError: all wrong tasks and options at once; `out` holds something else.
    """
    chosen = _check(tasks, split, options).limited(limit)
    out = Path(out)
    metrics = _open(out, split, model)
    for task in tasks:
        if resume and is_done(metrics, task, chosen):
            log.say(f"{task}: done before, in {out}")
            continue
        metrics = _drop(metrics, task)
        records.write_json(out / METRICS, metrics)
        shutil.rmtree(out / task, ignore_errors=True)
        (out / task).mkdir()
        began = time.perf_counter()
        figures = TASKS[task](model, split, out / task, chosen)
        seconds = round(time.perf_counter() - began, 2)
        settings = metrics.pop("settings")
        about = {"options": config_lib.plain(chosen), "seconds": seconds}
        settings["tasks"][task] = about
        metrics |= {f"{task}/{name}": value for name, value in figures.items()}
        metrics["settings"] = settings
        records.write_json(out / METRICS, metrics)
        log.say(f"{task} ({split}, {seconds:.0f} s): {_line(figures)}")
    return metrics


def weights_hash(params: Any) -> str:
    """sha256 over the names, types and values of all parameters."""
    digest = hashlib.sha256()
    for path, leaf in sorted(trees.flatten(params).items()):
        array = np.asarray(jax.device_get(leaf))
        digest.update(f"{path} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B"))
    return digest.hexdigest()


def _check(tasks: Sequence[str], split: str, options: Mapping[str, Any]) -> Options:
    problems = [
        f"no task {task!r}{config_lib.suggest(task, TASKS)}: there are"
        f" {', '.join(TASKS)}"
        for task in tasks
        if task not in TASKS
    ]
    if not tasks:
        problems.append(f"no task is given: there are {', '.join(TASKS)}")
    if split not in shapes_world.SPLITS:
        problems.append(f"no split {split!r}: {', '.join(shapes_world.SPLITS)}")
    try:
        chosen = config_lib.to_dataclass(Options, dict(options), where="options")
        problems += _wrong_values(chosen)
    except BridgeError as error:
        problems.append(str(error))
    if problems:
        raise BridgeError("; ".join(problems))
    return chosen


def _wrong_values(options: Options) -> list[str]:
    problems = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if type(value) is int and field.name != "seed" and value < 1:
            problems.append(f"options.{field.name} is {value}: it must be at least 1")
    unknown = [name for name in options.conditions if name not in CONDITIONS]
    if unknown or not options.conditions:
        problems.append(f"options.conditions: choose from {', '.join(CONDITIONS)}")
    if options.captions not in shapes_world.STYLES:
        styles = ", ".join(shapes_world.STYLES)
        problems.append(f"options.captions {options.captions!r} is none of {styles}")
    return problems


def _open(out: Path, split: str, model: System) -> dict[str, Any]:
    """The metrics so far in `out`, which is ours from now on."""
    settings = {
        "split": split,
        "weights": weights_hash(model.params),
        "model": config_lib.plain(model.engine.bundle.description()),
        "versions": _versions(),
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "tasks": {},
    }
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return _continue(out, settings)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BridgeError(f"cannot make {out}: {error.strerror}") from None
    return {"settings": settings}


def _continue(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    if not (out / METRICS).is_file():
        raise BridgeError(
            f"{out} holds something else than an evaluation; give a new directory"
        )
    metrics = records.read_json(out / METRICS)
    old = metrics.get("settings", {})
    for name in ("weights", "split"):
        if old.get(name) != settings[name]:
            raise BridgeError(
                f"{out} holds an evaluation of other {name} ({old.get(name)});"
                " give a new directory"
            )
    metrics["settings"] = settings | {"tasks": old.get("tasks", {})}
    return metrics


def is_done(metrics: Mapping[str, Any], task: str, options: Options) -> bool:
    """Whether `metrics` hold `task`, measured with these options."""
    about = metrics["settings"]["tasks"].get(task, {})
    # Through JSON, as the old options were.
    wanted = json.loads(json.dumps(config_lib.plain(options)))
    return about.get("options") == wanted


def _drop(metrics: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The metrics without those of a task."""
    kept = {k: v for k, v in metrics.items() if not k.startswith(f"{task}/")}
    kept["settings"]["tasks"].pop(task, None)
    return kept


def _versions() -> dict[str, str]:
    names = ("jax", "flax", "numpy", "pillow")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version()} | found


def _line(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
