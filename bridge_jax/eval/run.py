"""Evaluating: the chosen tasks one after another, and metrics.json.

    metrics = run.evaluate(model, ("vqa", "retrieval"), "test", Path("out"))
    metrics["vqa/exact_match"], metrics["settings"]["weights"]

metrics.json is written after every task, so an interrupted evaluation keeps what it
has; `resume=True` then does only what is missing.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_jax.core import config as config_lib
from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import shapes_world
from bridge_jax.eval import ledger, provenance, records
from bridge_jax.eval import options as options_lib
from bridge_jax.eval.options import Options
from bridge_jax.eval.system import System
from bridge_jax.eval.tasks import (
    consistency,
    editing,
    generation,
    reconstruction,
    retrieval,
    understanding,
)

TASKS: dict[str, Callable[[System, str, Path, Options], dict[str, float]]] = {
    "vqa": understanding.evaluate,
    "generation": generation.evaluate,
    "editing": editing.evaluate,
    "retrieval": retrieval.evaluate,
    "consistency": consistency.evaluate,
    "reconstruction": reconstruction.evaluate,
}
# Consistency takes longest, and reconstruction is of one part alone.
USUAL = ("vqa", "generation", "editing", "retrieval")
METRICS = ledger.FILE


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
    shared = {"split": split} | provenance.of(model)
    metrics = ledger.opened(out, shared)
    for task in tasks:
        if resume and is_done(metrics, task, chosen):
            log.say(f"{task}: done before, in {out}")
            continue
        metrics = ledger.without(metrics, "tasks", task)
        records.write_json(out / ledger.FILE, metrics)
        shutil.rmtree(out / task, ignore_errors=True)
        (out / task).mkdir()
        began = time.perf_counter()
        figures = TASKS[task](model, split, out / task, chosen)
        seconds = round(time.perf_counter() - began, 2)
        about = {"options": config_lib.plain(chosen), "seconds": seconds}
        about |= {name: shared[name] for name in provenance.OF_A_RUN}
        metrics = ledger.added(metrics, "tasks", task, figures, about)
        records.write_json(out / ledger.FILE, metrics)
        log.say(f"{task} ({split}, {seconds:.0f} s): {_line(figures)}")
    return metrics


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
        chosen = options_lib.made(options)
    except BridgeError as error:
        problems.append(str(error))
    if problems:
        raise BridgeError("; ".join(problems))
    return chosen


def is_done(metrics: Mapping[str, Any], task: str, options: Options) -> bool:
    """Whether `metrics` hold `task`, measured with these options.

    An option that there was not yet had no other value than its default.
    """
    about = metrics["settings"]["tasks"].get(task, {})
    if "options" not in about:
        return False
    # Through JSON, as the old options were.
    wanted, defaults = (
        json.loads(json.dumps(config_lib.plain(one))) for one in (options, Options())
    )
    return defaults | about["options"] == wanted


def _line(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
