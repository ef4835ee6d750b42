"""Conversations of others, as LLaVA and Qwen's tools write them, with their pictures.

    c.streams.main = dict(source="conversations", batch=128, length=2048,
        num_patches=576, data="llava_v1_5_mix665k.json", images="images")

See `data/conversations.py` for the forms and `data/sources` for the files. The records
come in another order in every epoch. One that is of no use is told, counted, and the
next of the file taken in its place, so that row i stays a function of i alone.
"""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import (
    chat,
    conversations,
    epochs,
    fields,
    processor,
    rejects,
    rows,
    sources,
)
from bridge_jax.data.faults import Faults


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm {...}, targets [T], loss_mask [T] float32.

    Attributes:
      data: the file.
      images: folder that pictures are named from; the file's own by default.
      length: T; last turns that do not fit are left out.
      num_patches: P, of all pictures of a conversation; 0 for text alone.
      evenness: see `rows.weigh_replies`; 0 as LLaVA has it, every token alike.
      most_bad: largest share of the records that may be of no use.
    """

    processor: processor.Processor
    data: str = ""
    images: str = ""
    seed: int = 0
    length: int = 2048
    num_patches: int = 576
    evenness: float = 0.0
    most_bad: float = 0.01

    def __post_init__(self):
        if not self.data:
            raise BridgeError("streams of conversations need data=FILE")

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        source, bad = _opened(self.data, self.most_bad)
        first = epochs.record(self.seed, index, len(source))
        for more in range(len(source)):
            bad.read()
            try:
                return self._row(source[(first + more) % len(source)])
            except _Useless as error:
                bad.add(error.reason, str(error))
            except BridgeError as error:  # the record itself
                bad.add("record", str(error))
        raise BridgeError(f"{self.data}: not one of its records is of use")

    def _row(self, named: tuple[str, dict]) -> dict[str, np.ndarray]:
        where, record = named
        found = Faults()
        home = Path(self.images) if self.images else Path(self.data).parent
        made = conversations.read(record, home, where, found)
        if found.lines:
            raise _Useless("conversation", found.lines[0])
        try:
            opened = fields.open_pictures(made.images)
            pictures = [self.processor.look_at(picture) for picture in opened]
        except BridgeError as error:
            raise _Useless("picture", f"{where}: {error}") from None
        patches = sum(len(picture) for picture, _ in pictures)
        if patches > self.num_patches:
            raise _Useless(
                "length", f"{where}: {patches} patches, and {self.num_patches} fit"
            )
        row = self._fitted(made.messages, [grid for _, grid in pictures], where)
        out, response, _ = self.processor.vlm(
            [row], pictures, self.length, self.num_patches
        )
        weights = rows.weigh_replies(response, self.evenness)
        return {"vlm": out, "targets": out["tokens"], "loss_mask": weights}

    def _fitted(self, messages, grids, where: str) -> chat.Row:
        """As many turns as fit; all pictures must be among them."""
        messages = list(messages)
        while messages:
            if messages[-1]["role"] == "assistant" and _shown(messages) == len(grids):
                row = self.processor.render(messages, grids)
                if len(row.tokens) <= self.length:
                    return row
            messages.pop()
        raise _Useless("length", f"{where}: no turn fits into {self.length} tokens")


class _Useless(Exception):
    """A record that cannot be used: `reason` is one word."""

    def __init__(self, reason: str, what: str):
        super().__init__(what)
        self.reason = reason


def _shown(messages) -> int:
    return sum(p["type"] == "image" for m in messages for p in m["content"])


@functools.lru_cache(8)
def _opened(path: str, most: float) -> tuple[sources.Records, rejects.Rejects]:
    return sources.open_source(path), rejects.Rejects(most)
