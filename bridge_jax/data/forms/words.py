"""Texts of records that can be read as Unicode and are of sane length."""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge_jax.data.faults import Faults

MOST = 200_000  # characters; longer ones are files that went astray


def check(text: str, where: str, found: Faults) -> bool:
    """Whether it is Unicode of sane length; otherwise a fault."""
    if len(text) > MOST:
        found.add(where, f"{len(text):,} characters, and {MOST:,} are read at most")
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:  # half of a pair, spelt out in JSON
        found.add(where, f"character {error.start} is no Unicode")
        return False
    return True


def first(
    record: Mapping[str, Any], names: Sequence[str], where: str, found: Faults
) -> str:
    """The text of the first of `names` that the record has; "" with a fault."""
    for name in names:
        if name in record:
            text = record[name]
            if isinstance(text, str) and text.strip():
                return text if check(text, where, found) else ""
            found.add(where, f"{name!r} is no text, or an empty one")
            return ""
    found.add(where, f"has no text: none of {', '.join(names)}")
    return ""
