"""The lines of a file that say something, by their number."""

import array

import numpy as np

from bridge_jax.data.sources import bytes_of, kept_index


class Lines:
    """Where lines begin is found in one pass and kept; empty ones are passed over.

    Sixteen bytes of memory a line: where it begins, and its number in the file.
    """

    def __init__(self, path: str):
        self._bytes = bytes_of.opened(path)
        found = kept_index.arrays(self._bytes, "lines 1", self._found)
        self._starts, self._lines = found["starts"], found["lines"]

    def _found(self) -> dict[str, np.ndarray]:
        text, size = self._bytes.whole(), self._bytes.size
        starts, lines = array.array("q"), array.array("q")
        at, number = 0, 1
        while at < size:
            end = text.find(b"\n", at)
            end = size if end < 0 else end
            if text[at:end].strip():
                starts.append(at)
                lines.append(number)
            at, number = end + 1, number + 1
        return {
            "starts": np.array(starts, np.int64),
            "lines": np.array(lines, np.int64),
        }

    def __len__(self) -> int:
        return len(self._starts)

    def line(self, index: int) -> tuple[str, bytes]:
        """("file:line", its bytes)."""
        index = range(len(self))[index]
        start = int(self._starts[index])
        # Between it and the next there are only empty ones.
        last = index + 1 == len(self)
        end = self._bytes.size if last else int(self._starts[index + 1])
        where = f"{self._bytes.path}:{self._lines[index]}"
        return where, self._bytes.piece(start, end)
