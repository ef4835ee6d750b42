"""A comparison as text."""

from collections.abc import Mapping

from bridge_jax.parity import comparison, run

HEAD = ("case", "array", "shape", "max abs error", "relative", "tolerance", "verdict")


def text(result: run.Result) -> str:
    """Every row, then what was left out and why, then the verdict."""
    rows = [HEAD, *(_cells(row) for row in result.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in rows
    ]
    if result.left_out:
        lines += ["", "not compared:"]
        lines += [f"  {name}: {reason}" for name, reason in result.left_out]
    wrong = [row for row in result.rows if not row.holds]
    lines += ["", _verdict(len(result.rows), len(wrong), result)]
    return "\n".join(lines)


def summary(results: Mapping[str, run.Result]) -> str:
    """A Markdown table, one line a fixture."""
    lines = [
        "| recording | compared | worst error, one layer or loss | worst, composed | |",
        "|---|---|---|---|---|",
    ]
    for name, result in results.items():
        single = _worst(result, comparison.SINGLE)
        composed = _worst(result, comparison.COMPOSED)
        verdict = "holds" if result.holds else "FAILS"
        lines.append(
            f"| `{name}` | {len(result.rows)} | {single} | {composed} | {verdict} |"
        )
    return "\n".join(lines)


def _worst(result: run.Result, tolerance: float) -> str:
    found = [row.relative for row in result.rows if row.tolerance == tolerance]
    return f"{max(found):.1e}" if found else ""


def _cells(row: comparison.Row) -> tuple[str, ...]:
    kind, _, rest = row.name.partition("/")
    case, _, array = rest.rpartition("/")
    if kind == "grad":  # tensor names have no slash, cases may
        array = f"gradient of {array}"
    return (
        case if kind != "w" else "",
        array if kind != "w" else rest,
        "x".join(map(str, row.shape)) or "scalar",
        f"{row.absolute:.2e}",
        f"{row.relative:.2e}",
        f"{row.tolerance:.0e}" if row.tolerance else "exact",
        "holds" if row.holds else "FAILS",
    )


def _verdict(total: int, wrong: int, result: run.Result) -> str:
    if wrong:
        return f"{wrong} of {total} FAIL"
    worst = max((row.relative for row in result.rows), default=0.0)
    return f"all {total} hold; largest relative error {worst:.1e}"
