"""The layouts that can be read and written, as a table for a page."""

from bridge_jax.convert import plan

MARK = "formats"


def markdown() -> str:
    """A line a format: its name, what it is, what its folder holds."""
    lines = ["| format | what it is | SRC on disk |", "|---|---|---|"]
    for name in plan.names():
        form = plan.named(name)
        what = form.__doc__.splitlines()[0].rstrip(".")
        lines.append(f"| `{name}` | {what} | {form.ON_DISK} |")
    return "\n".join(lines)
