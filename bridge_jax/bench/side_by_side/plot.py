"""Races as a picture (the extra `lab`): how many times as fast, on a log scale."""

import io
from collections.abc import Sequence

from matplotlib.figure import Figure

from bridge_jax.bench.side_by_side import race, table

_FASTER, _SLOWER = "#1a7f4b", "#b42318"
_SHADES = {"tiny": 0.35, "small": 0.65}  # others are full


def png(results: Sequence[race.Result]) -> bytes:
    """A bar a race, with the range of its rounds and a tick where it should end."""
    figure = Figure(figsize=(7, 0.8 + 0.24 * len(results)), dpi=130)
    axes = figure.add_subplot()
    for place, one in enumerate(results):
        color = _FASTER if one.ratio >= 1 else _SLOWER
        shade = _SHADES.get(one.size, 1.0)
        axes.barh(place, one.ratio - 1, left=1, color=color, alpha=shade)
        axes.plot((min(one.ratios), max(one.ratios)), (place, place), "k", lw=0.8)
        axes.plot(table.wanted(one), place, "k|", markersize=9)
        axes.annotate(
            f" {one.ratio:.2f}", (max(1, max(one.ratios)), place), va="center", size=7
        )
    axes.axvline(1, color="k", lw=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(results)), [_label(one) for one in results], size=7)
    axes.invert_yaxis()
    axes.set_xlabel("times as fast as the peer (tick: wanted)", size=8)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(axis="x", labelsize=7, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _label(one: race.Result) -> str:
    peer = "" if one.peer == "torch" else f" ({one.peer})"
    return f"{one.case} {one.size}{peer}"
