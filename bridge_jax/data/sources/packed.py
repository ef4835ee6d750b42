"""Many short texts or small records in two arrays, rather than as objects."""

import array
import json
from collections.abc import Iterable
from typing import Any

import numpy as np


class Texts:
    """Eight bytes a text beside its own, as UTF-8.

    Attributes:
      letters: uint8 [bytes of all].
      ends: int64 [texts], where each ends.
    """

    def __init__(self, letters: np.ndarray, ends: np.ndarray):
        self.letters, self.ends = letters, ends

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> str:
        index = range(len(self))[index]
        start = int(self.ends[index - 1]) if index else 0
        piece = self.letters[start : int(self.ends[index])].tobytes()
        return piece.decode("utf-8", "surrogateescape")


class Records:
    """Records that JSON can say: eight bytes each, beside it as JSON."""

    def __init__(self, records: Iterable[dict[str, Any]]):
        self._texts = texts(json.dumps(one, separators=(",", ":")) for one in records)

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return json.loads(self._texts[index])


def texts(given: Iterable[str]) -> Texts:
    """Packed one by one; all at once they are nowhere."""
    letters, ends = bytearray(), array.array("q")
    for one in given:
        letters += one.encode("utf-8", "surrogateescape")
        ends.append(len(letters))
    return Texts(np.frombuffer(bytes(letters), np.uint8), np.array(ends, np.int64))
