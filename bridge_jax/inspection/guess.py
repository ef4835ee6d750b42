"""From a path to the settings of the stream that would read it."""

from pathlib import Path
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources
from bridge_jax.data.forms import captioned, edit

TRIED = 20  # records, of which the first that can be read tells


def stream_of(data: str, kind: str = "") -> dict[str, Any]:
    """{"source", "data", ...}: by the names of the fields of a record.

    Raises:
      BridgeError: no file, or records of no form that is known.
    """
    records = sources.open_source(data, kind)
    record = _first(records, data)
    given = {"data": str(data)} | ({"kind": kind} if kind else {})
    names = set(record)
    if names & {"messages", "conversations"}:
        return {"source": "conversations", **given}
    if names & set(edit.SOURCES) and names & set(edit.TARGETS):
        return {"source": "edits", **given}
    if "texts" in names:
        return {"source": "documents", **given}
    if names & set(captioned.PICTURES):
        said = "text_to_image" if names & set(captioned.CAPTIONS) else "images"
        return {"source": said, **given}
    if names & set(captioned.CAPTIONS):
        return {"source": "documents", **given}
    raise BridgeError(
        f"{data}: records with {', '.join(sorted(names))} are neither conversations nor"
        " captioned pictures, edits or texts; name a config whose stream has `columns`"
    )


def _first(records: sources.Records, data: str | Path) -> dict[str, Any]:
    problem = ""
    for number in range(min(TRIED, len(records))):
        try:
            return records[number][1]
        except BridgeError as error:
            problem = problem or str(error)
    raise BridgeError(f"none of the first {TRIED} records can be read: {problem}")
