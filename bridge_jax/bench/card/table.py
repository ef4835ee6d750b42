"""Results as text: ceilings, works, and what is still short said first."""

import dataclasses

from bridge_jax.bench.card import process, result, suite, works

_HEAD = (
    "work",
    "share of the ceiling (rounds)",
    "wanted",
    "a run, ms",
    "TFLOP/s or TB/s",
    "a second",
    "compile, s",
    "GB held",
)
_FIELDS = {field.name for field in dataclasses.fields(result.Measured)}


def markdown(report: suite.Report) -> str:
    """The table of what `suite.run` returned."""
    ceilings = report[process.CEILINGS]
    names = [name for name in works.WORKS if name in report]
    found = {name: measured(report[name]) for name in names}
    told = (
        f"{ceilings['device']}, {ceilings['date']}. Measured first: the fastest"
        f" bfloat16 product {ceilings['flops'] / 1e12:,.0f} TFLOP/s, the fastest copy"
        f" {ceilings['memory'] / 1e12:.2f} TB/s. {_verdict(found, ceilings)}"
    )
    lines = [told, "", _row(_HEAD), _row(["---"] * len(_HEAD))]
    lines += [_row(_cells(name, one, ceilings)) for name, one in found.items()]
    versions = ", ".join(f"{k} {v}" for k, v in ceilings["versions"].items())
    return "\n".join([*lines, "", f"Versions: {versions}."])


def measured(told: dict) -> result.Measured:
    """The same from JSON, which also says when and with what."""
    fields = {key: told[key] for key in _FIELDS}
    return result.Measured(**fields | {"seconds": tuple(told["seconds"])})


def _verdict(found: dict, ceilings: dict) -> str:
    short = [
        f"`{name}` {one.share(ceilings):.0%} of {wanted:.0%}"
        for name, one in found.items()
        if (wanted := works.WORKS[name].wanted) and one.share(ceilings) < wanted
    ]
    return (
        f"Short of what is wanted: {', '.join(short)}." if short else "All as wanted."
    )


def _cells(name: str, one: result.Measured, ceilings: dict) -> list[str]:
    work = works.WORKS[name]
    shares = [
        dataclasses.replace(one, seconds=(s,)).share(ceilings) for s in one.seconds
    ]
    amount = one.bytes or one.flops
    rate = one.items / one.median
    return [
        f"`{name}`",
        f"**{one.share(ceilings):.1%}** ({min(shares):.1%} to {max(shares):.1%})",
        "" if work.wanted is None else f"{work.wanted:.0%}",
        f"{1e3 * one.median:,.{0 if one.median > 0.1 else 2}f}",
        f"{amount / one.median / 1e12:,.{2 if one.bytes else 0}f}",
        f"{rate:,.{0 if rate >= 100 else 1}f} {work.unit}s",
        f"{one.compile:.0f}",
        "?" if one.peak is None else f"{one.peak / 1e9:.0f}",
    ]


def _row(cells) -> str:
    return f"| {' | '.join(cells)} |"
