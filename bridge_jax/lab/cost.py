"""What a grid costs, told before anything runs: arithmetic exactly, time by experience.

The arithmetic of a step is counted in the program that a job would run, traced and not
compiled. How fast this machine does it, and what a job takes besides, is known from
jobs of the same folder that are done; before the first one is, time is not told.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from bridge_jax.eval import records
from bridge_jax.eval import run as evaluation
from bridge_jax.lab import job as job_lib
from bridge_jax.lab.experiment import Experiment, Job
from bridge_jax.plan import abstract
from bridge_jax.train import goodput
from bridge_jax.train import recipe as recipe_lib


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one arm.

    Attributes:
      jobs, left: its seeds, and those that are not done.
      steps: of one job.
      flops: of training one job, the model's own without what is computed again.
      seconds: of one job, evaluation and all; nan if unknown.
    """

    arm: str
    jobs: int
    left: int
    steps: int
    flops: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Pace:
    """Seconds a FLOP in training, and what a job takes besides; nan if unknown."""

    per_flop: float = math.nan
    besides: float = math.nan


def of(experiment: Experiment, out: Path) -> list[Cost]:
    """A Cost for each arm, in the experiment's order.

    Raises:
      BridgeError: an arm whose config cannot be built, the first one.
    """
    jobs = experiment.jobs()
    by_arm = {arm: [j for j in jobs if j.arm == arm] for arm in experiment.changes()}
    known = {arm: _steps_and_flops(some[0]) for arm, some in by_arm.items()}
    done = [job for job in jobs if job_lib.is_done(job, out)]
    speed = pace([(job.folder(out), known[job.arm][1]) for job in done])
    return [
        Cost(
            arm,
            len(some),
            sum(job not in done for job in some),
            *known[arm],
            speed.besides + known[arm][1] * speed.per_flop,
        )
        for arm, some in by_arm.items()
    ]


def markdown(costs: Sequence[Cost]) -> str:
    """A row an arm and their sum."""
    lines = [
        "| arm | jobs | to do | steps | PFLOP a job | minutes a job |",
        "|---|---|---|---|---|---|",
    ]
    for one in costs:
        lines.append(
            f"| {one.arm} | {one.jobs} | {one.left} | {one.steps} |"
            f" {one.flops / 1e15:.5g} | {_minutes(one.seconds)} |"
        )
    flops = sum(one.left * one.flops for one in costs)
    left = sum(one.left for one in costs)
    seconds = sum(one.left * one.seconds for one in costs if one.left)
    lines += [
        "",
        (
            f"To do: {left} jobs, {flops / 1e15:.3g} PFLOP of training,"
            f" {_minutes(seconds)} minutes one after the other."
        ),
    ]
    if math.isnan(seconds):
        lines.append("The first job that is done here tells how long they take.")
    return "\n".join(lines)


def _minutes(seconds: float) -> str:
    return "?" if math.isnan(seconds) else f"{seconds / 60:.1f}"


def _steps_and_flops(job: Job) -> tuple[int, float]:
    recipe = recipe_lib.make(job.config())
    step, state, batch = abstract.training(recipe)
    step.trace(state, batch)
    devices = recipe.layout.mesh.size
    steps = recipe.config.total_steps
    return steps, step.flops * devices * steps


def pace(done: Iterable[tuple[Path, float]]) -> Pace:
    """From (folder, FLOPs of its training) of jobs that are done."""
    steps = besides = flops = count = 0.0
    for folder, one in done:
        told = records.read_json(folder / job_lib.RUN / goodput.FILE)["seconds"]
        file = folder / job_lib.EVALUATION / evaluation.METRICS
        # Without tasks to measure there is none.
        tasks = records.read_json(file)["settings"]["tasks"] if file.is_file() else {}
        steps += told["step"]
        besides += sum(told.values()) - told["step"]
        besides += sum(task["seconds"] for task in tasks.values())
        flops, count = flops + one, count + 1
    if not count:
        return Pace()
    return Pace(steps / flops, besides / count)
