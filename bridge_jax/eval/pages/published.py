"""Figures for a page: evaluations of one model as a Markdown table between marks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.core import marks
from bridge_jax.core.errors import BridgeError
from bridge_jax.eval.pages import summary

DRAWING = ("generation", "editing", "consistency")
HASH = 12  # letters of the weights' hash that are shown


def markdown(by_split: Mapping[str, Mapping[str, Any]], targets: bool = True) -> str:
    """A row a figure, a column a split, targets in brackets, and what was measured.

    Args:
      targets: those of the shipped weights; without for others.

    Raises:
      BridgeError: the evaluations are of different weights, chose among different
        numbers of candidates, or asked questions in different ways.
    """
    hashes = {metrics["settings"]["weights"] for metrics in by_split.values()}
    if len(hashes) != 1:
        raise BridgeError(
            "these evaluations are of different weights; give those of one model"
        )
    candidates = set().union(*map(_candidates, by_split.values()))
    if len(candidates) > 1:
        raise BridgeError(
            "these evaluations keep the best of"
            f" {' and of '.join(map(str, sorted(candidates)))} candidates; give those"
            " of one number"
        )
    thoughts = set().union(*map(_thoughts, by_split.values()))
    if len(thoughts) > 1:
        raise BridgeError(
            "in some of these evaluations questions were thought about (--think), in"
            " others not; give those of one kind"
        )
    lines = [
        f"| | {' | '.join(by_split)} |",
        f"|---|{'---|' * len(by_split)}",
    ]
    for row in summary.ROWS:
        wanted = row.targets if targets else {}
        cells = [
            _cell(row.value(metrics), wanted.get(split))
            for split, metrics in by_split.items()
        ]
        if any(cells):
            lines.append(f"| {row.label} | {' | '.join(cells)} |")
    measured = f"Weights `{hashes.pop()[:HASH]}`"
    measured += "; in brackets what they must reach." if targets else "."
    if thoughts == {True}:
        measured += " Questions were thought about."
    if candidates - {1}:
        measured += f" Each picture is the best of {candidates.pop()}."
    return "\n".join([*lines, "", measured])


def insert(
    page: Path,
    mark: str,
    by_split: Mapping[str, Mapping[str, Any]],
    targets: bool = True,
) -> str:
    """The text of `page` with the table between the marks of that name.

    Raises:
      BridgeError: the page cannot be read or has no such marks.
    """
    return marks.insert(page, mark, markdown(by_split, targets))


def _candidates(metrics: Mapping[str, Any]) -> set[int]:
    """How many were drawn for each picture, in every task that draws."""
    tasks = metrics["settings"]["tasks"]
    drawn = [tasks[name]["options"] for name in DRAWING if name in tasks]
    return {options.get("best_of", 1) for options in drawn}


def _thoughts(metrics: Mapping[str, Any]) -> set[bool]:
    """Whether questions were thought about, if any were asked."""
    tasks = metrics["settings"]["tasks"]
    asked = [tasks["vqa"]] if "vqa" in tasks else []
    return {one.get("options", {}).get("think", False) for one in asked}


def _cell(value: float | None, target: float | None) -> str:
    if value is None:
        return ""
    wanted = "" if target is None else f" (≥ {target:.2f})"
    return f"{value:.3f}{wanted}"
