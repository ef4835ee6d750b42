"""Where the pictures lie that a published list names: beside it, or a folder below."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.data import fields
from bridge_jax.data.faults import Faults

BELOW = "images"


def find(
    record: Mapping[str, Any], name: str, home: Path, where: str, found: Faults
) -> Path:
    """The picture that record[name] names.

    Looked for in `home`, in its folder "images", and in `filepath` or in
    images/`filepath` where the record has that (COCO's "val2014").

    Args:
      home: the list's own folder.
    """
    homes = [home, home / BELOW]
    below = record.get("filepath")
    if isinstance(below, str) and below:
        homes = [home / below, home / BELOW / below, *homes]
    return fields.picture(record.get(name), homes, where, found)
