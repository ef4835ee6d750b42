"""report.html and plots/ of an experiment: table, plots, pictures side by side."""

from collections.abc import Sequence
from pathlib import Path

from bridge_jax.eval import records
from bridge_jax.eval.pages import page
from bridge_jax.lab import job as job_lib
from bridge_jax.lab import plots, table
from bridge_jax.lab.experiment import Experiment
from bridge_jax.lab.results import Results

_WIDTH = 420  # pixels of a plot on the page


def write(path: Path, experiment: Experiment, results: Results) -> None:
    """Write the page, and every plot beside it in plots/ as GROUP_FIGURE.png."""
    folder = path.parent / "plots"
    folder.mkdir(exist_ok=True)
    sections = [
        f"<h1>{page.text(experiment.base)}, changed</h1>",
        _table(experiment, results),
    ]
    for title, arms in experiment.together().items():
        there = [arm for arm in arms if arm in results.figures]
        sections.append(_group(title, there, experiment, results, folder))
    sections += [_pictures(experiment, results), _grid(experiment)]
    staged = path.with_name(path.name + ".partial")
    staged.write_text(page.document("bridge ablate", sections), encoding="utf-8")
    staged.replace(path)


def _table(experiment: Experiment, results: Results) -> str:
    head = ["arm", *experiment.figures, "n"]
    rows = []
    for arm, seeds in results.figures.items():
        cells = [page.cell(page.text(arm))]
        for figure in experiment.figures:
            told = page.text(table.cell(results, arm, figure))
            bold = told.replace("**", "<b>", 1).replace("**", "</b>", 1)
            cells.append(page.cell(bold, "number"))
        rows.append([*cells, page.cell(str(len(seeds)), "number")])
    measure = experiment.measure
    note = f"Measured on the {measure.split} split. {table.NOTE}"
    return page.section("Arms", note.replace("**", ""), page.table(head, rows))


def _group(
    title: str,
    arms: Sequence[str],
    experiment: Experiment,
    results: Results,
    folder: Path,
) -> str:
    first = {job.arm: job for job in reversed(experiment.jobs())}
    made = {"schedule": plots.schedules(first, arms)}
    made |= {name: plots.bars(results, arms, name) for name in experiment.figures}
    made |= {name: plots.curves(results, arms, name) for name in experiment.curves}
    shown = []
    for name, png in made.items():
        if png is None:
            continue
        file = folder / f"{title}_{name}.png".replace("/", "_").replace(" ", "_")
        file.write_bytes(png)
        shown.append(page.picture(png, _WIDTH))
    note = "Bars and bands are one standard error over seeds; a dot is a seed."
    return page.section(title.capitalize(), note, page.pictures(shown)) if shown else ""


def _pictures(experiment: Experiment, results: Results) -> str:
    """Rows are prompts, columns arms: what each drew with its first seed."""
    places = {}
    for (arm, _), folder in results.folders.items():
        drawn = sorted((folder / job_lib.EVALUATION).glob("generation/*/[0-9]*"))
        if drawn and arm not in places:
            spread = max(1, len(drawn) // max(experiment.shown, 1))
            places[arm] = drawn[::spread][: experiment.shown]
    if not places:
        return ""
    rows = []
    for number in range(min(len(drawn) for drawn in places.values())):
        [prompt] = records.read_lines(
            next(iter(places.values()))[number] / "metadata.jsonl"
        )
        cells = [page.cell(page.text(prompt["prompt"]), "prompt")]
        for drawn in places.values():
            samples = sorted((drawn[number] / "samples").glob("*.png"))[:2]
            cells.append(page.cell(page.pictures([page.picture(s) for s in samples])))
        rows.append(cells)
    note = "Each arm's pictures of the same prompts, from the same noise."
    return page.section("Pictures", note, page.table(["", *places], rows))


def _grid(experiment: Experiment) -> str:
    rows = []
    for arm, changes in experiment.changes().items():
        told = "; ".join(_told(change) for change in changes) or "nothing"
        rows.append([page.cell(page.text(arm)), page.cell(page.faint(told))])
    every = _told(experiment.every) or "nothing"
    note = f"What each arm changes of {experiment.base}. All change: {every}."
    return page.section("The grid", note, page.table(["arm", "changes"], rows))


def _told(change: object, place: str = "") -> str:
    """ "a.b = 1, c = None" of nested groups."""
    if hasattr(change, "items"):
        below = (_told(v, f"{place}.{k}" if place else k) for k, v in change.items())
        return ", ".join(one for one in below if one)
    return f"{place} = {change!r}"
