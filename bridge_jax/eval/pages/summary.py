"""The table of figures: models side by side, and what the shipped one must reach."""

import dataclasses
from collections.abc import Mapping
from typing import Any

# model -> what its metrics.json holds
Results = Mapping[str, Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure worth comparing.

    Attributes:
      key: in metrics.json, or "over/under" of two keys, their ratio.
      label: what it is called; {scenes} is how many were searched.
      targets: split -> least value for the shipped model.
    """

    key: str | tuple[str, str]
    label: str
    targets: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def value(self, metrics: Mapping[str, Any]) -> float | None:
        """The figure, None where it was not measured."""
        if isinstance(self.key, str):
            return metrics.get(self.key)
        over, under = (metrics.get(key) for key in self.key)
        return over / under if over is not None and under else None


QUERIES, TEXT = "generation/queries/mean", "generation/text/mean"
ROWS = (
    Row("vqa/exact_match", "questions answered", {"test": 0.97, "heldout": 0.93}),
    Row(QUERIES, "drawn from learned queries", {"test": 0.90, "heldout": 0.80}),
    Row(TEXT, "drawn from text (mT5)"),
    Row((QUERIES, TEXT), "queries / text", {"test": 0.95, "heldout": 0.95}),
    Row("editing/success", "edited", {"test": 0.80, "heldout": 0.70}),
    Row("retrieval/i2t_r1", "captions found, R@1", {"test": 0.95, "heldout": 0.95}),
    Row("retrieval/t2i_r1", "pictures found, R@1", {"test": 0.95, "heldout": 0.95}),
    Row("consistency/text_image_text", "caption drawn, then said again"),
    Row("consistency/image_text_image", "picture described, then drawn again"),
    Row("reconstruction/same", "given back by the autoencoder alone"),
)


def rows(results: Results) -> list[tuple[str, list[float | None], float | None]]:
    """(label, a value for each model, target) of every figure that was measured."""
    found = []
    for row in ROWS:
        values = [row.value(metrics) for metrics in results.values()]
        if any(value is not None for value in values):
            found.append((row.label, values, row.targets.get(split(results))))
    return found


def split(results: Results) -> str:
    """The split that was evaluated."""
    return next(iter(results.values()))["settings"]["split"]


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def table(results: Results) -> str:
    """For the terminal, in columns."""
    head = ["", *results, "target (shipped)"]
    lines = [head]
    for label, values, target in rows(results):
        wanted = "" if target is None else f">= {target:.2f}"
        lines.append([label, *map(number, values), wanted])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        ).rstrip()
        for line in lines
    )


def merged(results: Results) -> dict[str, Any]:
    """All figures in one mapping, "model/task/figure", and "settings" by model."""
    figures = {
        f"{model}/{key}": value
        for model, metrics in results.items()
        for key, value in metrics.items()
        if key != "settings"
    }
    settings = {model: metrics["settings"] for model, metrics in results.items()}
    return figures | {"settings": settings}
