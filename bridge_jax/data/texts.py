"""Texts of a corpus of files, one after another, whatever the size of the files.

Read are plain texts (.txt, a text a line), json lines (.jsonl) and json arrays (.json)
of conversations as LLaVA ({"conversations": [{"value"}]}) or messages ({"messages":
[{"content"}]}) have them, or of {"text"} or {"caption"}.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ijson

from bridge_jax.core.errors import BridgeError

_MARKS = ("<image>", "<video>")  # stand for what is seen, and are no words


def read(paths: Iterable[Path]) -> Iterator[str]:
    """Every text of every file, in order, without the marks of pictures.

    Raises:
      BridgeError: a file that is not there, of another kind or damaged, with its place.
    """
    for path in paths:
        if path.suffix not in _READERS:
            kinds = ", ".join(_READERS)
            raise BridgeError(f"{path}: texts are read from {kinds}")
        try:
            yield from _READERS[path.suffix](path)
        except OSError as error:
            raise BridgeError(f"cannot read {path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise BridgeError(f"{path} is no UTF-8 (byte {error.start})") from None


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if text := line.rstrip("\r\n"):
                yield text


def _json_lines(path: Path) -> Iterator[str]:
    for number, line in enumerate(_lines(path), 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise BridgeError(f"{path}, line {number}: {error.msg}") from None
        yield from _of(record, f"{path}, line {number}")


def _json_array(path: Path) -> Iterator[str]:
    """Record by record: such files are larger than memory should be."""
    with path.open("rb") as file:
        try:
            for number, record in enumerate(ijson.items(file, "item")):
                yield from _of(record, f"{path}, record {number}")
        except ijson.JSONError as error:
            first = str(error).strip().splitlines()[0]
            raise BridgeError(f"{path} is no json array: {first}") from None


_READERS: Mapping[str, Callable[[Path], Iterator[str]]] = {
    ".txt": _lines,
    ".jsonl": _json_lines,
    ".json": _json_array,
}


def _of(record: Any, where: str) -> Iterator[str]:
    """The texts of one record."""
    found = list(_said(record)) if isinstance(record, Mapping) else []
    if not found:
        raise BridgeError(
            f"{where} has no text: records have conversations, messages, text or"
            " caption"
        )
    for text in found:
        for mark in _MARKS:
            text = text.replace(mark, "")
        yield text.strip("\n")


def _said(record: Mapping[str, Any]) -> Iterator[str]:
    for turns, field in (("conversations", "value"), ("messages", "content")):
        for turn in record.get(turns) or ():
            yield from _parts(turn.get(field))
    for field in ("text", "caption"):
        if isinstance(record.get(field), str):
            yield record[field]


def _parts(content: Any) -> Iterator[str]:
    """A message's content: a string, or a list of parts of which some are texts."""
    if isinstance(content, str):
        yield content
        return
    for part in content or ():
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            yield part["text"]
