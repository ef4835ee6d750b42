"""report.html: what models answer, draw, edit and find, from the files of evaluations.

    report.write(
        Path("report.html"),
        {"untrained": Path("out/untrained"), "shipped": Path("out/shipped")},
        {"stage 1": Path("run/stage1")},
    )

Nothing is computed again: everything shown is read from the folders that `run.evaluate`
wrote and from the metrics.jsonl of training runs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.eval import ledger, records
from bridge_jax.eval.pages import curves, gallery, page, summary

# Everything else in metrics.jsonl is a loss term or an accuracy.
_NOT_CURVES = {
    "step",
    "seconds",
    "samples_per_second",
    "flops_per_second",
    "mfu",
    "goodput",
    "data_seconds",
    "skipped",
    "gradient_norm",
    "learning_rate",
}


def write(
    path: Path,
    evaluations: Mapping[str, Path],
    training: Mapping[str, Path] | None = None,
    title: str = "bridge_jax on the shapes world",
) -> dict[str, Any]:
    """Write the page, and return all its figures as "model/task/figure".

    Args:
      evaluations: model's name -> folder that `run.evaluate` wrote; all of one split.
        The last one is what targets are for.
      training: title -> work directory of a training run.

    Raises:
      BridgeError: a folder without metrics.json.
    """
    results = {
        name: records.read_json(folder / ledger.FILE)
        for name, folder in evaluations.items()
    }
    sections = [
        f"<h1>{page.text(title)}</h1>",
        _figures(results),
        *(_curves(name, workdir) for name, workdir in (training or {}).items()),
        gallery.drawings(evaluations),
        gallery.edits(evaluations),
        gallery.questions(evaluations),
        gallery.searches(evaluations),
        _settings(results),
    ]
    staged = path.with_name(path.name + ".partial")
    staged.write_text(page.document(title, sections), encoding="utf-8")
    staged.replace(path)
    return summary.merged(results)


def _figures(results: summary.Results) -> str:
    rows = []
    for label, values, target in summary.rows(results):
        cells = [page.cell(page.text(label))]
        cells += [page.cell(summary.number(value), "number") for value in values]
        wanted = "" if target is None else f"≥ {target:.2f}"
        if target is not None and values[-1] is not None:
            wanted += " " + page.mark(values[-1] >= target)
        rows.append([*cells, page.cell(wanted, "number")])
    last = list(results)[-1]
    head = ["", *results, f"target ({last})"]
    note = (
        f"Shares of 1, measured on the {summary.split(results)} split, which no"
        " training has seen. Pictures are judged by reading them back into scenes."
    )
    return f"<p>{page.text(note)}</p>" + page.table(head, rows)


def losses(workdir: Path) -> dict[str, tuple[float, float]]:
    """The loss and its terms over a training run: name -> (first window, last)."""
    return {
        name: (values[0], values[-1])
        for name, (_, values) in _series(workdir).items()
        if "/" not in name
    }


def _series(workdir: Path) -> dict[str, tuple[list[float], list[float]]]:
    """name -> (steps, values) of everything that a training run is judged by."""
    file = workdir / "metrics.jsonl"
    found: dict[str, tuple[list[float], list[float]]] = {}
    for window in records.read_lines(file) if file.is_file() else []:
        for name in window.keys() - _NOT_CURVES:
            steps, values = found.setdefault(name, ([], []))
            steps.append(window["step"])
            values.append(window[name])
    # "loss" first, then its terms, then what belongs to a term.
    return dict(sorted(found.items(), key=lambda item: (item[0] != "loss", item[0])))


def _curves(title: str, workdir: Path) -> str:
    charts = [curves.chart(name, *series) for name, series in _series(workdir).items()]
    if not charts:
        return ""
    grid = f'<div class="charts">{"".join(charts)}</div>'
    return page.section(f"Training, {title}", "Means over each window of steps.", grid)


def _settings(results: summary.Results) -> str:
    rows = []
    for name, metrics in results.items():
        settings = metrics["settings"]
        tasks = settings["tasks"]
        spent = ", ".join(
            f"{task} {one['seconds']:.0f} s" for task, one in tasks.items()
        )
        versions = ", ".join(f"{k} {v}" for k, v in settings["versions"].items())
        cells = (name, settings["weights"][:16], spent, settings["device"], versions)
        rows.append([page.cell(page.text(cell), "faint") for cell in cells])
    head = ["model", "weights (sha256)", "time", "device", "versions"]
    note = "Every option is in metrics.json, under settings."
    return page.section("How this was measured", note, page.table(head, rows))
