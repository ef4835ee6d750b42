"""Plots of an experiment, as PNG (the extra `lab`): curves, bars, schedules."""

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bridge_jax.core import config as config_lib
from bridge_jax.lab import statistics
from bridge_jax.lab.experiment import Job
from bridge_jax.lab.results import Results
from bridge_jax.models import replacement

COLORS = ("#2f5fd0", "#d9822b", "#1a7f4b", "#b42318", "#7a4fbf", "#0f8b8d", "#8a6d3b")
_SIZE = (4.6, 3.0)  # inches
_DPI = 130
_FEW = 10  # points of a curve that are shown one by one


def curves(results: Results, arms: Sequence[str], term: str) -> bytes | None:
    """A term of the training log over steps: mean of the seeds, one standard error.

    None where no arm logs it.
    """
    figure, axes = _begin(term, "step", "")
    drawn = False
    for color, arm in zip(_colors(arms), arms, strict=True):
        seeds = list(results.curve(arm, term).values())
        if not seeds:
            continue
        drawn = True
        steps = sorted(set.intersection(*(set(seed) for seed in seeds)))
        points = [statistics.estimate([one[step] for one in seeds]) for step in steps]
        mean = np.array([point.mean for point in points])
        error = np.nan_to_num([point.error for point in points])
        dots = "." if len(steps) <= _FEW else ""
        axes.plot(steps, mean, dots + "-", color=color, linewidth=1.6, label=arm)
        axes.fill_between(steps, mean - error, mean + error, color=color, alpha=0.18)
        if (mean - error).min() > 0:
            axes.set_yscale("log")
    return _png(figure, axes, len(arms)) if drawn else None


def shares(found: Mapping[str, np.ndarray]) -> bytes:
    """Model -> the share that its k heaviest words have together, k = 1, 2, ..."""
    figure, axes = _begin("sparsity", "heaviest words of a token", "their share")
    for color, (name, values) in zip(_colors(list(found)), found.items(), strict=True):
        count = np.arange(1, len(values) + 1)
        axes.plot(count, values, color=color, linewidth=1.6, label=name)
    axes.set_xscale("log")
    axes.set_ylim(0, 1)
    return _png(figure, axes, len(found))


def bars(results: Results, arms: Sequence[str], name: str) -> bytes | None:
    """A figure of each arm: mean, standard error, and every seed as a dot.

    None where no arm has it.
    """
    figure, axes = _begin(name, "", "")
    shown = [arm for arm in arms if results.series(arm, name)]
    for place, arm in enumerate(shown):
        values = list(results.series(arm, name).values())
        found = statistics.estimate(values)
        axes.bar(
            place,
            found.mean,
            yerr=np.nan_to_num(found.error),
            color=COLORS[arms.index(arm) % len(COLORS)],
            alpha=0.75,
            width=0.65,
            capsize=4,
        )
        across = place + np.linspace(-0.12, 0.12, len(values))
        axes.plot(across, values, ".", color="#22262e", markersize=5)
    axes.set_xticks(range(len(shown)), shown, rotation=20, ha="right")
    return _png(figure, axes, 0) if shown else None


def schedules(jobs: Mapping[str, Job], arms: Sequence[str]) -> bytes | None:
    """The share of learned queries over training: its interval at every step.

    None unless two arms differ in it.
    """
    found = {arm: _schedule(jobs[arm]) for arm in arms if arm in jobs}
    if len({schedule for schedule, _ in found.values()}) < 2:
        return None
    figure, axes = _begin("learned queries in place of text", "step", "share")
    for color, arm in zip(_colors(arms), arms, strict=True):
        if arm not in found:
            continue
        schedule, last = found[arm]
        steps = np.linspace(0, last, 400).astype(int)
        low, high = np.array([schedule.interval(step) for step in steps]).T
        axes.fill_between(steps, low, high, color=color, alpha=0.18)
        axes.plot(steps, (low + high) / 2, color=color, linewidth=1.6, label=arm)
    axes.set_ylim(-0.03, 1.03)
    return _png(figure, axes, len(arms))


def _schedule(job: Job) -> tuple[replacement.Schedule, int]:
    config = job.config()
    given = config.get("replacement", {})
    schedule = config_lib.to_dataclass(replacement.Schedule, given, "replacement")
    return schedule, config.get("total_steps", 1)


def _begin(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10, fontweight="bold", loc="left")
    axes.set_xlabel(across, fontsize=9)
    axes.set_ylabel(up, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e5e8", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _png(figure: Figure, axes: Axes, labels: int) -> bytes:
    if labels:
        axes.legend(fontsize=8, frameon=False)
    made = io.BytesIO()
    # Without a date, equal results are equal files.
    figure.savefig(made, format="png", metadata={"Software": None})
    return made.getvalue()


def _colors(arms: Sequence[str]) -> Iterable[str]:
    return [COLORS[i % len(COLORS)] for i in range(len(arms))]
