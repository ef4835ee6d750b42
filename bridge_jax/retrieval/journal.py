"""Embeddings of a work that is not finished, so that none is made again after a kill.

FOLDER.unfinished/rows.f32       the vectors so far, float32, one after another
FOLDER.unfinished/ids.jsonl      their ids, a JSON text a line
FOLDER.unfinished/journal.json   how much of both counts, and of what work it is
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.retrieval import segment as segment_lib

_ROWS, _IDS, _STATE = "rows.f32", "ids.jsonl", "journal.json"


class Journal:
    """A journal in `folder`, which is there: gone on with, or begun anew.

    Attributes:
      done: records that are dealt with.
      bad: numbers of records that cannot be read; None if nobody has looked yet.
      rows: vectors so far.
      width: of each; 0 before the first.
      counts: sums of what `add` was told.
    """

    def __init__(self, folder: Path, plan: str):
        self._folder, self._plan = folder, plan
        state = self._kept()
        if state is None:
            none = dict.fromkeys(("done", "rows", "width", "letters"), 0)
            state = {**none, "bad": None, "counts": {}}
        self.done, self.rows = state["done"], state["rows"]
        self.width, self.bad = state["width"], state["bad"]
        self.counts: dict[str, int] = state["counts"]
        # What was written after the journal was is written again.
        for name, size in (
            (_ROWS, 4 * self.rows * self.width),
            (_IDS, state["letters"]),
        ):
            with (folder / name).open("ab") as file:
                file.truncate(size)

    def checked(self, bad: Sequence[int]) -> None:
        """Remember which records cannot be read."""
        self.bad = list(bad)
        self._save()

    def add(
        self,
        vectors: np.ndarray,
        ids: Sequence[str],
        done: int,
        counts: Mapping[str, int],
    ) -> None:
        """Keep vectors float32 [n, E], after which `done` records are dealt with."""
        if len(ids):
            self.width = vectors.shape[1]
            lines = "".join(json.dumps(one) + "\n" for one in ids)
            self._append(_ROWS, np.ascontiguousarray(vectors, np.float32).tobytes())
            self._append(_IDS, lines.encode())
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        self.rows, self.done = self.rows + len(ids), done
        self._save()

    def ids(self) -> list[str]:
        """Of all vectors so far."""
        text = (self._folder / _IDS).read_text()
        return [json.loads(line) for line in text.splitlines()]

    def blocks(self) -> Iterator[np.ndarray]:
        """The vectors so far, float32 [n, E] at a time."""
        if self.rows:
            shape = (self.rows, self.width)
            mapped = np.memmap(self._folder / _ROWS, np.float32, "r", shape=shape)
            for some in segment_lib.in_blocks(mapped):
                yield mapped[some]

    def _append(self, name: str, data: bytes) -> None:
        with (self._folder / name).open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _save(self) -> None:
        state = {
            "plan": self._plan,
            "done": self.done,
            "bad": self.bad,
            "rows": self.rows,
            "width": self.width,
            "counts": self.counts,
            "letters": (self._folder / _IDS).stat().st_size,
        }
        staged = self._folder / f"{_STATE}.partial"
        with staged.open("w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, self._folder / _STATE)

    def _kept(self) -> dict[str, Any] | None:
        """What the journal says, if it is whole and of this work."""
        try:
            state = json.loads((self._folder / _STATE).read_text())
            sizes = {_ROWS: 4 * state["rows"] * state["width"], _IDS: state["letters"]}
            whole = all(
                (self._folder / name).stat().st_size >= size
                for name, size in sizes.items()
            )
            return state if whole and state["plan"] == self._plan else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
