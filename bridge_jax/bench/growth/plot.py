"""The curves as a picture (the extra `lab`): times, and the arithmetic beside them."""

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bridge_jax.bench.growth.curve import Curve

_SIZE = (3.2, 2.8)  # inches of one axis
_DPI = 130
_TIME, _MEMORY, _EXPECTED = "#2f5fd0", "#d9822b", "#8a9099"


def png(curves: Sequence[Curve]) -> bytes:
    """One panel an axis, all relative to its smallest point, both scales logarithmic.

    Grey is what is expected: of time its arithmetic, dashed; of memory its order.
    """
    width, height = _SIZE
    figure = Figure((width * len(curves), height), dpi=_DPI, layout="constrained")
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, curve in zip(panels, curves, strict=True):
        _draw(axes, curve)
    panels[0].legend(fontsize=7, frameon=False)
    made = io.BytesIO()
    figure.savefig(made, format="png", metadata={"Software": None})
    return made.getvalue()


def _draw(axes: Axes, curve: Curve) -> None:
    sizes = [point.size for point in curve.points]
    series = {
        "time": ([point.median for point in curve.points], _TIME, ".-"),
        "arithmetic": ([point.flops for point in curve.points], _EXPECTED, "--"),
        "memory": ([point.memory for point in curve.points], _MEMORY, ".-"),
        "its order": ([size**curve.order for size in sizes], _EXPECTED, ":"),
    }
    for name, (values, color, style) in series.items():
        relative = [value / (values[0] or 1) for value in values]
        axes.plot(sizes, relative, style, color=color, linewidth=1.4, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_title(curve.axis, fontsize=10, fontweight="bold", loc="left")
    axes.set_xlabel(curve.unit, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e5e8", linewidth=0.8)
