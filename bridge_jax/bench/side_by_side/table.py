"""Races as text: medians, ratios, and what is still slower said first."""

from collections.abc import Sequence

from bridge_jax.bench.side_by_side import case, race

_HEAD = (
    "work",
    "size",
    "against",
    "ours, ms",
    "theirs, ms",
    "times as fast (rounds)",
    "wanted",
    "ours a second",
    "compile, s",
    "MB, ours / theirs",
)


def markdown(
    results: Sequence[race.Result], apart: Sequence[race.Disagreement] = ()
) -> str:
    """What falls short, a line a race, and the versions.

    Args:
      apart: races that were not timed.
    """
    lines = [
        _verdict(results) + _untimed(apart),
        "",
        _row(_HEAD),
        _row(["---"] * len(_HEAD)),
    ]
    lines += [_row(_cells(one)) for one in results]
    return "\n".join([*lines, "", f"Versions: {_versions(results)}."])


def wanted(one: race.Result) -> float:
    """The ratio that we are after; of compiled torch, to be no slower."""
    return case.named(one.case).wanted if one.peer == "torch" else 1.0


def _verdict(results: Sequence[race.Result]) -> str:
    slower = [one for one in results if one.ratio < 1]
    short = [one for one in results if 1 <= one.ratio < wanted(one)]
    told = f"{len(results)} races, {len(results) - len(slower) - len(short)} as wanted."
    if slower:
        told += f" Still slower than the peer: {_named(slower)}."
    if short:
        told += f" Faster, but less than wanted: {_named(short)}."
    return told


def _untimed(apart: Sequence[race.Disagreement]) -> str:
    named = [f"{_name(one)} by {one.error:.1%}" for one in apart]
    return f" Not timed, as the two disagree: {', '.join(named)}." if named else ""


def _named(results: Sequence[race.Result]) -> str:
    return ", ".join(f"{_name(one)} {one.ratio:.2f}" for one in results)


def _name(one: race.Result | race.Disagreement) -> str:
    against = f" ({one.peer})" if one.peer != "torch" else ""
    return f"`{one.case}` at {one.size}{against}"


def _cells(one: race.Result) -> list[str]:
    low, high = min(one.ratios), max(one.ratios)
    known = case.named(one.case)
    rate = known.items(one.size) / one.ours.median
    peaks = [
        "?" if side.peak is None else f"{side.peak / 1e6:,.0f}"
        for side in (one.ours, one.theirs)
    ]
    return [
        f"`{one.case}`",
        one.size,
        one.peer,
        _milliseconds(one.ours.median),
        _milliseconds(one.theirs.median),
        f"**{one.ratio:.2f}** ({low:.2f} to {high:.2f})",
        f"{wanted(one):g}",
        f"{rate:,.{0 if rate >= 10 else 1}f} {known.unit}s",
        f"{one.ours.compile:.1f}",
        " / ".join(peaks),
    ]


def _milliseconds(seconds: float) -> str:
    time = 1e3 * seconds
    return f"{time:,.0f}" if time >= 100 else f"{time:.3g}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _versions(results: Sequence[race.Result]) -> str:
    """Of the races, which may have been run at different times."""
    told = [f"{name} {v}" for one in results for name, v in one.versions.items()]
    return ", ".join(dict.fromkeys(told))
