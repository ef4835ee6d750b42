"""Findings for a terminal."""

from collections.abc import Iterator

import numpy as np

from bridge_jax.inspection.findings import Findings

COLUMN = 16


def told(found: Findings) -> str:
    """Some lines, the stream's name first."""
    return "\n".join(
        [title(found), *(f"  {name:<{COLUMN}}{what}" for name, what in facts(found))]
    )


def title(found: Findings) -> str:
    """ "main: conversations of mine.jsonl"."""
    source = found.settings.get("source", found.name)
    data = found.settings.get("data")
    return f"{found.name}: {source}{f' of {data}' if data else ''}"


def facts(found: Findings) -> Iterator[tuple[str, str]]:
    """(what, its figures) of everything that was found, but for rows and fields."""
    if found.count is not None:
        yield "records", f"{found.count:,}, of which {found.looked:,} were looked at"
        bad = sum(found.counts.values())
        yield "of no use", f"{bad:,} ({bad / found.looked:.1%})"
        for reason, count in sorted(found.counts.items(), key=lambda one: -one[1]):
            yield f"  {reason}", f"{count:,}, such as {found.examples[reason]}"
    if found.reused:
        yield "ids", f"{found.reused:,} records have one that another has, too"
    for what, values in found.sizes.items():
        if len(values):
            yield what, spread(values) + _fill(found, what, values)
    if found.told:
        yield "packed", found.told
    yield "speed", f"{found.rows_a_second:,.1f} rows/s by one thread"
    if found.rows_an_epoch is not None:
        steps = found.steps_an_epoch
        more = f", {steps:,.1f} steps of {found.batch:,} rows" if steps else ""
        yield "an epoch", f"{found.rows_an_epoch:,} rows{more}"
    else:
        yield "an epoch", "has no end: rows are made, not read"


def spread(values: np.ndarray) -> str:
    """Least, median, 95 % and most."""
    least, middle, high, most = np.percentile(values, [0, 50, 95, 100])
    return (
        f"least {_number(least)}, median {_number(middle)}, 95 % below {_number(high)},"
        f" most {_number(most)}"
    )


def _fill(found: Findings, what: str, values: np.ndarray) -> str:
    """How full rows of one record are."""
    room = found.rooms.get(what)
    if found.told or not room:
        return ""
    return f"; rows of {room:,} are {values.mean() / room:.0%} full"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.2f}"
