"""The table: an arm a row, a figure a column, as Markdown."""

import math
from collections.abc import Sequence

from bridge_jax.lab import statistics
from bridge_jax.lab.experiment import BASELINE
from bridge_jax.lab.results import Results

NOTE = (
    "Mean ± standard error over n seeds; in brackets the paired difference to the"
    " baseline, bold where zero lies outside its 95 % interval (Student's t)"
    " and not all seeds differ alike."
)


def markdown(results: Results, figures: Sequence[str]) -> str:
    """Every arm that has results, and a note on how to read them."""
    head = ["arm", *figures, "n"]
    lines = [_line(head), _line(["---"] * len(head))]
    for arm, seeds in results.figures.items():
        cells = [cell(results, arm, figure) for figure in figures]
        lines.append(_line([arm, *cells, str(len(seeds))]))
    return "\n".join([*lines, "", NOTE])


def cell(results: Results, arm: str, figure: str) -> str:
    """ "0.512 ± 0.010 (+0.031 ± 0.008)", or "" where the arm lacks the figure."""
    values = results.series(arm, figure)
    if not values:
        return ""
    text = plus_minus(statistics.estimate(list(values.values())))
    if arm == BASELINE:
        return text
    gap = statistics.difference(values, results.series(BASELINE, figure))
    return text if gap is None else f"{text} ({difference(gap)})"


def difference(gap: statistics.Estimate) -> str:
    """ "+0.031 ± 0.008", bold where it is clear."""
    told = plus_minus(gap, sign="+")
    return f"**{told}**" if gap.is_clear else told


def plus_minus(one: statistics.Estimate, sign: str = "") -> str:
    """ "0.512 ± 0.010"; without the error where one seed is all there is."""
    mean = _number(one.mean, sign)
    return mean if math.isnan(one.error) else f"{mean} ± {_number(one.error)}"


def _number(value: float, sign: str = "") -> str:
    """Three decimals, or two digits of what would have none of them."""
    small = 0 < abs(value) < 0.01
    return f"{value:{sign}.2g}" if small else f"{value:{sign}.3f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
