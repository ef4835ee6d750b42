"""One JSON array of objects, as LLaVA's files are, however large."""

import array
import re
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.sources import bytes_of, kept_index

# A string whole, or what opens and closes: all that can tell where an object ends.
_SIGNS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}]', re.DOTALL)


class Source:
    """Where objects begin and end is found in one pass and kept: 16 bytes each.

    Raises:
      BridgeError: no array, one that is cut short, or with something else between.
    """

    def __init__(self, path: str):
        self._path, self._bytes = path, bytes_of.opened(path)
        found = kept_index.arrays(self._bytes, "json_array 1", self._found)
        self._ends = found["ends"]

    def _found(self) -> dict[str, np.ndarray]:
        places = array.array("q")
        for pair in self._objects(self._bytes.whole()):
            places.extend(pair)
        return {"ends": np.array(places, np.int64).reshape(-1, 2)}

    def _objects(self, text):
        depth, start, after = 0, 0, 0
        for sign in _SIGNS.finditer(text):
            first = sign[0][:1]
            if depth < 2 and first in b'"{[]':
                self._check_between(text, after, sign.start(), depth, first)
            if first in b"[{":
                depth += 1
                if depth == 2:
                    start = sign.start()
                after = sign.end()
            elif first in b"]}":
                depth -= 1
                after = sign.end()
                if depth == 1:
                    yield start, after
                elif depth <= 0:
                    break
        if depth or not after:
            raise BridgeError(
                f"{self._path} is no JSON array, or is cut short: it ends within"
                f" {'an object' if depth > 1 else 'the array'}"
            )
        if text[after:].strip():
            raise BridgeError(f"{self._path} goes on after its array (byte {after})")

    def _check_between(self, text, start: int, end: int, depth: int, sign: bytes):
        """Only one comma stands between objects, and nothing before the array."""
        between = bytes(text[start:end]).strip()
        expected = {0: (b"", b"["), 1: (b",", b"{")}[depth]
        opening = depth == 1 and (sign == b"]" or text[start - 1 : start] == b"[")
        if between != (b"" if opening else expected[0]) or (
            sign != expected[1] and sign != b"]"
        ):
            raise BridgeError(
                f"{self._path} is no JSON array of objects (byte {start}); if it has"
                " an object a line, its kind is json_lines"
            )

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        index = range(len(self))[index]
        start, end = (int(place) for place in self._ends[index])
        where = f"{self._path}: record {index}"
        return where, bytes_of.parsed(self._bytes.piece(start, end), where)
