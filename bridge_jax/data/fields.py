"""Fields of the records that a benchmark is given; what is wrong goes to `faults`."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import faults as faults_lib
from bridge_jax.data import images
from bridge_jax.data.faults import Faults

Record = Mapping[str, Any]
LONGEST = 200  # letters of a name that are told


def document(path: Path) -> dict[str, Any]:
    """The JSON object that a file is. Raises BridgeError if it is none."""
    try:
        found = json.loads(faults_lib.text(path))
    except ValueError as error:
        raise BridgeError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise BridgeError(f"{path} is no JSON object")
    return found


def records(
    document: Record, name: str, place: Path | str, faults: Faults
) -> list[tuple[str, dict[str, Any]]]:
    """("place: name[i]", object) of each of a list of objects; the rest are faults."""
    listed = document.get(name)
    if not isinstance(listed, list) or not listed:
        faults.add(str(place), f"{name!r} is missing, empty or no list")
        return []
    found = []
    for number, value in enumerate(listed):
        where = f"{place}: {name}[{number}]"
        if isinstance(value, dict):
            found.append((where, value))
        else:
            faults.add(where, "is no JSON object")
    return found


def word(record: Record, name: str, where: str, faults: Faults) -> str:
    """The text of a field; "" where it is none."""
    good = faults_lib.words(dict(record), (name,), where, faults)
    return record[name] if good else ""


def texts(record: Record, name: str, where: str, faults: Faults) -> tuple[str, ...]:
    """The texts of a list that has some; () where it is none."""
    value = record.get(name)
    if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
        return tuple(value)
    faults.add(where, f"{name!r} is missing, empty or no list of texts")
    return ()


def picture(name: Any, homes: Sequence[str | Path], where: str, faults: Faults) -> Path:
    """The file of that name in the first of `homes` that has it."""
    if not isinstance(name, str) or not name:
        faults.add(where, "the name of the picture is missing or no text")
        return Path()
    for home in homes:
        # Unlike Path's, it raises nothing for names that no file can have.
        if os.path.isfile(os.path.join(home, name)):
            return Path(home, name)
    looked = " or ".join(dict.fromkeys(str(home) or "." for home in homes))
    shown = name if len(name) <= LONGEST else f"{name[:LONGEST]}..."
    faults.add(where, f"there is no picture {shown!r} in {looked}")
    return Path()


def open_pictures(paths: Sequence[Path]) -> list[np.ndarray]:
    """uint8 [H, W, 3] of each file. Raises BridgeError with all that cannot be read."""
    opened, problems = [], []
    for path in paths:
        try:
            opened.append(images.open_image(path))
        except BridgeError as error:
            problems.append(str(error))
    if problems:
        # A batch is filled up with its last item, which is told once.
        raise BridgeError("; ".join(dict.fromkeys(problems)))
    return opened
