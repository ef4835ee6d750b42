"""Several records a row: each measured once, then in exactly one row of every epoch.

Attention and positions restart at every segment, so the loss is that of single rows
without their padding. A record that is the very same as one before it is left out. A
row is not filled up again where one of its records turns out to be damaged.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.once import once
from bridge_jax.data import duplicates, rejects, survey
from bridge_jax.data.packed_epochs import PackedEpochs
from bridge_jax.data.record_stream import Row
from bridge_jax.data.segment_stream import SegmentStream


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
        return (
            f"{len(self.good):,} records in {self.rows.count():,} rows an epoch, which"
            f" are {tokens:.0%} full of tokens and {patches:.0%} of patches"
        )


@dataclasses.dataclass(frozen=True)
class PackedStream(SegmentStream):
    """Before a SegmentStream among the bases of a class, several segments a row.

    Attributes:
      length: T, of all records of a row.
      num_patches: P, likewise.
    """

    def __call__(self, index: int) -> Row:
        segments = [self.tried(number, self.segment) for number in self.members(index)]
        kept = [one for one in segments if one is not None]
        if kept:
            return self.packed(kept)
        # Damage that no header shows was all there is: a row that weighs nothing.
        nothing = self.processor.render([{"role": "user", "content": ""}])
        row = self.packed([(nothing, [])])
        return row | {"loss_mask": np.zeros_like(row["loss_mask"])}

    def members(self, index: int) -> list[int]:
        """Numbers of the records in a row."""
        return self.plan.good[self.plan.rows[index]].tolist()

    def _look(self, where: str, record: Mapping[str, Any]) -> tuple[int, ...]:
        """Sizes of a record and its digest."""
        return (*self.measure(where, record), *duplicates.digest(record))

    @once
    def plan(self) -> Plan:
        """Which records share rows."""
        count = len(self.source)
        bad = rejects.Rejects(self.most_bad, least=count)
        found = survey.take(
            count,
            lambda number: self.tried(number, self._look, bad),
            4,
            f"measuring {self.data}",
        )
        sizes, same = found[:, :2], duplicates.firsts(found[:, 2:])
        good = np.flatnonzero((sizes >= 0).all(axis=1))
        for number in good[same[good] < good]:
            told = f"{self.data}: record {number} is that of record {same[number]}"
            bad.add("duplicate", told)
        good = good[same[good] == good]
        if not len(good):
            raise BridgeError(f"{self.data}: not one of its records is of use")
        room = (self.length, max(self.num_patches, 1))
        plan = Plan(good, PackedEpochs(sizes[good], room, self.seed))
        left = f"; left out: {bad.told()}" if bad.counts else ""
        log.say(f"{self.data}: {plan.told()}{left}")
        return plan
