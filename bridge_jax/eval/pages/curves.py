"""Line charts as SVG text, drawn with nothing but arithmetic."""

import html
import math
from collections.abc import Sequence

WIDTH, HEIGHT = 300, 170
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 30, 22


def chart(title: str, steps: Sequence[float], values: Sequence[float]) -> str:
    """One curve with its axes, its first value and its last.

    Values that are not finite leave a gap.
    """
    points = [(x, y) for x, y in zip(steps, values, strict=True) if math.isfinite(y)]
    if not points:
        return ""
    ticks = _ticks([y for _, y in points])
    low, high = ticks[0], ticks[-1]
    first, last = steps[0], max(steps[-1], steps[0] + 1)

    def across(x: float) -> float:
        return LEFT + (x - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        return TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM)

    lines = "".join(_tick(down(y), y) for y in ticks)
    lines += _text(LEFT, HEIGHT - 6, f"{first:g}", "start")
    lines += _text(WIDTH - RIGHT, HEIGHT - 6, f"step {last:g}", "end")
    path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in points)
    (end_x, end_y), (_, start_y) = points[-1], points[0]
    change = f"{start_y:.3g} → {end_y:.3g}"
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{html.escape(title)}: {change}">'
        f'<text class="name" x="{LEFT}" y="16">{html.escape(title)}</text>'
        f'<text class="change" x="{WIDTH - RIGHT}" y="16">{change}</text>'
        f'{lines}<polyline class="curve" points="{path}"/>'
        f'<circle class="end" cx="{across(end_x):.1f}" cy="{down(end_y):.1f}" r="3"/>'
        "</svg>"
    )


def _tick(height: float, value: float) -> str:
    line = (
        f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}"'
        f' y1="{height:.1f}" y2="{height:.1f}"/>'
    )
    return line + _text(LEFT - 6, height + 3.5, f"{value:g}", "end")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{text}</text>"
    )


def _ticks(values: Sequence[float]) -> list[float]:
    """Three to six round numbers that enclose the values."""
    low, high = min(values), max(values)
    if high == low:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(n * step, 12) for n in range(first, last + 1)]
