"""Conversations of others, as many in a row as fit, each a segment of its own.

    c.streams.main = dict(source="packed_conversations", batch=32, length=8192,
        num_patches=4096, data="llava_v1_5_mix665k.json", images="images")

Attention and positions restart at every segment, so the loss is that of
`conversations` without its padding. Which share a row is settled beforehand: every
record is measured once, then each is in exactly one row of every epoch. Rows are not
filled up with a record again where one of theirs turns out to be damaged.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.once import once
from bridge_jax.data import images, rejects, survey
from bridge_jax.data.forms import conversation
from bridge_jax.data.packed_epochs import PackedEpochs
from bridge_jax.data.record_stream import Row
from bridge_jax.data.streams import conversations


@dataclasses.dataclass(frozen=True)
class Stream(conversations.Stream):
    """Row: as of `conversations`, of several segments.

    Attributes:
      length: T, of all conversations of a row.
      num_patches: P, likewise.
    """

    def __call__(self, index: int) -> Row:
        segments = [self.tried(number, self.segment) for number in self.members(index)]
        kept = [one for one in segments if one is not None]
        if kept:
            return self.packed(kept)
        # Damage that no header shows was all there is: a row that weighs nothing.
        row = self.packed([(self.processor.render(_NOTHING), [])])
        return row | {"loss_mask": np.zeros_like(row["loss_mask"])}

    def members(self, index: int) -> list[int]:
        """Numbers of the records in a row."""
        return self.plan.good[self.plan.rows[index]].tolist()

    @once
    def plan(self) -> "Plan":
        """Which records share rows."""
        count = len(self.source)
        bad = rejects.Rejects(self.most_bad, least=count)
        sizes = survey.take(
            count,
            lambda number: self.tried(number, self.measure, bad),
            2,
            f"measuring {self.data}",
        )
        good = np.flatnonzero((sizes >= 0).all(axis=1))
        if not len(good):
            raise BridgeError(f"{self.data}: not one of its records is of use")
        room = (self.length, max(self.num_patches, 1))
        plan = Plan(good, PackedEpochs(sizes[good], room, self.seed))
        left = f"; left out: {bad.told()}" if bad.counts else ""
        log.say(f"{self.data}: {plan.told()}{left}")
        return plan

    def measure(self, where: str, record: Mapping[str, Any]) -> tuple[int, int]:
        """(tokens, patches) of a record, its pictures known by their headers.

        Raises:
          Useless: as `segment`, but for damage behind the headers.
        """
        made = self.understood(conversation.read, where, record)
        try:
            grids = [self.processor.grid(*images.size_of(one)) for one in made.images]
        except BridgeError as error:
            raise rejects.Useless("picture", f"{where}: {error}") from None
        patches = sum(int(np.prod(grid)) for grid in grids)
        self.check_patches(patches, where)
        return len(self.fitted(made, grids, where).tokens), patches


@dataclasses.dataclass(frozen=True)
class Plan:
    """Attributes:
    good: numbers of the records that are of use.
    rows: of places in `good`.
    """

    good: np.ndarray
    rows: PackedEpochs

    def told(self) -> str:
        """How many are in how many rows, and how full those are."""
        tokens, patches = self.rows.fill()
        count = len(self.good)
        return (
            f"{count:,} conversations in {self.rows.rows():,} rows an epoch, which are"
            f" {tokens:.0%} full of tokens and {patches:.0%} of patches"
        )


_NOTHING = [{"role": "user", "content": ""}]
