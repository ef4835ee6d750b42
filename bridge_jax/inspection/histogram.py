"""Bars of how often values occur, as SVG text."""

import html

import numpy as np

from bridge_jax.eval.pages.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH

BARS = 40


def chart(title: str, values: np.ndarray) -> str:
    """One chart, its axis from the least value to the most."""
    counts, edges = np.histogram(values, min(BARS, max(1, len(np.unique(values)))))
    wide = (WIDTH - LEFT - RIGHT) / len(counts)
    tall = HEIGHT - TOP - BOTTOM
    bars = "".join(
        f'<rect class="bar" x="{LEFT + i * wide:.1f}" width="{max(wide - 1, 0.5):.1f}"'
        f' y="{HEIGHT - BOTTOM - tall * count / counts.max():.1f}"'
        f' height="{tall * count / counts.max():.1f}"/>'
        for i, count in enumerate(counts)
    )
    name = html.escape(title)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{name}"><text class="name" x="{LEFT}" y="16">{name}</text>'
        f'<text class="change" x="{WIDTH - RIGHT}" y="16">{len(values):,}</text>{bars}'
        f'<text class="tick" x="{LEFT}" y="{HEIGHT - 6}">{edges[0]:,.4g}</text>'
        f'<text class="change" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}">'
        f"{edges[-1]:,.4g}</text></svg>"
    )
