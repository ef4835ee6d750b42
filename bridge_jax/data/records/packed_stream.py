"""Several records a row: each measured once, then in exactly one row of every epoch.

Attention and positions restart at every segment, so the loss is that of single rows
without their padding. A record that is the very same as one before it is left out. A
row is not filled up again where one of its records turns out to be damaged.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xxhash

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.once import once
from bridge_jax.data.records import duplicates, rejects, survey
from bridge_jax.data.records.packed_epochs import PackedEpochs
from bridge_jax.data.records.record_stream import Row
from bridge_jax.data.records.segment_stream import Segment, SegmentStream
from bridge_jax.data.sources import kept_index, stamps

KEPT = 10_000  # records from which on their sizes are kept from run to run


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
        kept: list[Segment] = []
        used = np.zeros(2, np.int64)
        for number in self.members(index):
            segment = self.tried(number, self.segment)
            if segment is None:
                continue
            size = np.array(
                [len(segment[0].tokens), sum(len(p) for p, _ in segment[1])]
            )
            # A picture that is not what its header says, or was changed meanwhile.
            if (used + size > (self.length, self.num_patches)).any():
                self.rejects.add("length", f"{self.data}: record {number} has grown")
                continue
            kept.append(segment)
            used += size
        if kept:
            return self.packed(kept)
        # Damage that no header shows was all there is: a row that weighs nothing.
        nothing = self.processor.render([{"role": "user", "content": ""}])
        row = self.packed([(nothing, [])])
        return row | {"loss_mask": np.zeros_like(row["loss_mask"])}

    def members(self, index: int) -> list[int]:
        """Numbers of the records in a row."""
        return self.plan.good[self.plan.rows[index]].tolist()

    def _surveyed(self, count: int, bad: rejects.Rejects) -> np.ndarray:
        """Sizes and digests of all records, [count, 4]; kept if they are many."""

        def find() -> dict[str, np.ndarray]:
            taken = survey.take(
                count,
                lambda number: self.tried(number, self._look, bad),
                4,
                f"measuring {self.data}",
            )
            told = json.dumps([dict(bad.counts), bad.examples]).encode()
            return {"records": taken, "told": np.frombuffer(told, np.uint8)}

        stamp = stamps.of(self.data, self.kind) if count >= KEPT else ""
        if not stamp:
            return find()["records"]
        found = kept_index.kept(f"survey 1\0{stamp}\0{self._settings}", find)
        if not bad.counts:  # it was found in an earlier run
            bad.recall(*json.loads(found["told"].tobytes()))
        return found["records"]

    @property
    def _settings(self) -> str:
        """All that sizes depend on, beside the data."""
        fields = dataclasses.asdict(self)
        for name in ("processor", "seed", "most_bad", "evenness"):
            del fields[name]
        tokenizer = xxhash.xxh3_128_hexdigest(self.processor.llm.full.to_str().encode())
        kind = type(self).__module__
        return f"{kind}\0{fields}\0{self.processor.config}\0{tokenizer}"

    def _look(self, where: str, record: Mapping[str, Any]) -> tuple[int, ...]:
        """Sizes of a record and its digest."""
        return (*self.measure(where, record), *duplicates.digest(record))

    @once
    def plan(self) -> Plan:
        """Which records share rows."""
        count = len(self.source)
        bad = rejects.Rejects(self.most_bad, least=count)
        found = self._surveyed(count, bad)
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
