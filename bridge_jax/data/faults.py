"""Mistakes in a file of others', gathered so that all are told at once."""

import json
from pathlib import Path
from typing import Any

from bridge_jax.core.errors import BridgeError

_SHOWN = 12


class Faults:
    """Mistakes so far, each with its place.

    Attributes:
      lines: "file:line: what".
    """

    def __init__(self):
        self.lines: list[str] = []

    def add(self, where: str, what: str) -> None:
        self.lines.append(f"{where}: {what}")

    def stop(self) -> None:
        """Raise a BridgeError with the mistakes, if there are any."""
        if not self.lines:
            return
        count = len(self.lines)
        more = f"; and {count - _SHOWN} more" if count > _SHOWN else ""
        head = f"{count} mistakes: " if count > 1 else ""
        raise BridgeError(head + "; ".join(self.lines[:_SHOWN]) + more)


def text(path: Path) -> str:
    """What the file holds. Raises BridgeError where it cannot be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BridgeError(f"{path} is no text in UTF-8") from None
    except OSError as error:
        raise BridgeError(f"cannot read {path}: {error.strerror}") from None


def json_lines(path: Path, faults: Faults) -> list[tuple[str, dict[str, Any]]]:
    """("file:line", object) of each line; what is none goes to `faults`.

    Empty lines are passed over.

    Raises:
      BridgeError: the file cannot be read.
    """
    found = []
    for number, line in enumerate(text(path).split("\n"), 1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            faults.add(where, f"is no JSON ({error})")
            continue
        if isinstance(value, dict):
            found.append((where, value))
        else:
            faults.add(where, "is no JSON object")
    if not found and not faults.lines:
        faults.add(str(path), "holds no line")
    return found


def words(
    record: dict[str, Any], names: tuple[str, ...], where: str, faults: Faults
) -> bool:
    """Whether each of `names` is a text with a letter; what is none goes to `faults`.

    Texts are what they say between spaces: nothing is stripped here.
    """
    good = True
    for name in names:
        value = record.get(name)
        if not isinstance(value, str) or not value.strip():
            faults.add(where, f"{name!r} is missing or no text")
            good = False
    return good


def file_in(folder: Path, name: str, where: str, faults: Faults) -> Path:
    """The file `name` below `folder`; one outside, or missing, goes to `faults`."""
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        faults.add(where, f"{name!r} leads out of {folder}")
    elif not path.is_file():
        faults.add(where, f"there is no file {path}")
    return path


def name_of_file(name: str, where: str, faults: Faults) -> None:
    """What cannot be the name of a file goes to `faults`, since one will bear it."""
    if not name.strip(". ") or set(name) & set('/\\\0:*?"<>|\n'):
        faults.add(where, f"{name!r} cannot be the name of a file")
