"""What a stream's records and rows are like, measured on some of them."""

import collections
import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.faults import Faults
from bridge_jax.data.forms import captioned, edit, pictures
from bridge_jax.data.images import size_of
from bridge_jax.data.records import duplicates, epochs, rejects
from bridge_jax.data.records.packed_stream import PackedStream
from bridge_jax.data.records.record_stream import RecordStream
from bridge_jax.data.records.segment_stream import SegmentStream

SHOWN = 160  # characters of a value
_PICTURES = (*captioned.PICTURES, *edit.SOURCES, *edit.TARGETS)


@dataclasses.dataclass(frozen=True)
class Findings:
    """Attributes:
    name: of the stream in its config.
    settings: its "source" and fields.
    batch: rows of a step, 0 if no config says.
    count: records, or None for what never ends.
    looked: records that were looked at.
    fields: name -> a value of the first of them, shortened.
    counts: reason -> records of no use among them.
    examples: reason -> one of those, in words.
    rooms: what was measured -> how much of it a row has room for.
    sizes: what was measured -> [looked] values of those of use.
    rows: the first rows of the stream.
    rows_a_second: made by one thread.
    rows_an_epoch: how many rows all records make, or None.
    told: what a packed stream says of its rows.
    reused: records whose id another one has, too, and that are not the same.
    """

    name: str
    settings: Mapping[str, Any]
    batch: int = 0
    count: int | None = None
    looked: int = 0
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    examples: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rooms: Mapping[str, int] = dataclasses.field(default_factory=dict)
    sizes: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()
    rows_a_second: float = 0.0
    rows_an_epoch: int | None = None
    told: str = ""
    reused: int = 0

    @property
    def steps_an_epoch(self) -> float | None:
        """Of training, or None where there is no epoch or no batch."""
        if self.rows_an_epoch is None or not self.batch:
            return None
        return self.rows_an_epoch / self.batch


def of_stream(
    name: str, settings: Mapping[str, Any], stream: Any, rows: int, records: int
) -> Findings:
    """Look at `records` records, in the order of an epoch, and make `rows` rows.

    Raises:
      BridgeError: a file that cannot be read, or not one record of use.
    """
    settings = dict(settings)
    found = Findings(name, settings, batch=int(settings.pop("batch", 0)))
    if isinstance(stream, RecordStream):
        stream = dataclasses.replace(stream, most_bad=1.0)  # counted, no reason to stop
        found = dataclasses.replace(found, **_of_records(stream, records))
    stream(0)  # opens files and tokenizers
    started = time.perf_counter()
    made = tuple(stream(index) for index in range(rows))
    seconds = time.perf_counter() - started
    return dataclasses.replace(found, rows=made, rows_a_second=rows / seconds)


def _of_records(stream: RecordStream, most: int) -> dict[str, Any]:
    count = len(stream.source)
    order = epochs.order(stream.seed, 0, count)[:most]
    bad, sizes = rejects.Rejects(1.0, tell=0), collections.defaultdict(list)
    first: dict[str, str] = {}
    seen: dict[tuple[int, int], int] = {}
    ids: dict[str, int] = collections.Counter()
    for number in order.tolist():
        measured = stream.tried(number, _measure(stream, number), bad)
        if measured is None:
            continue
        record = stream.source[number][1]
        other = seen.setdefault(duplicates.digest(record), number)
        if other != number:
            told = f"{stream.data}: record {number} is that of record {other}"
            bad.add("duplicate", told)
            continue
        ids[str(record.get("id", f"record {number}"))] += 1
        for what, values in measured.items():
            sizes[what] += values
        first = first or {name: _shortened(value) for name, value in record.items()}
    packed = isinstance(stream, PackedStream)
    if bad.counts.total() == len(order):
        raise BridgeError(
            f"{stream.data}: none of {len(order)} records is of use: {bad.told()}; the"
            f" first: {next(iter(bad.examples.values()))}"
        )
    return {
        "count": count,
        "looked": len(order),
        "fields": first,
        "counts": dict(bad.counts),
        "examples": dict(bad.examples),
        "rooms": _rooms(stream),
        "sizes": {what: np.asarray(values) for what, values in sizes.items()},
        "rows_an_epoch": stream.plan.rows.count() if packed else count,
        "told": stream.plan.told() if packed else "",
        "reused": sum(times - 1 for times in ids.values()),
    }


def _measure(
    stream: RecordStream, number: int
) -> Callable[..., dict[str, list[float]]]:
    """What measures a record: {what: values}; it raises Useless for one of no use."""

    def of_segments(where: str, record: Mapping[str, Any]) -> dict[str, list[float]]:
        tokens, patches = stream.measure(where, record)
        made = stream.read(where, record)
        sides = [size_of(one) for one in made.images]
        return {"tokens": [tokens], "patches": [patches], **_of_pictures(sides)}

    def of_rows(where: str, record: Mapping[str, Any]) -> dict[str, list[float]]:
        made = stream.row(where, record, stream.choices(number))
        found = {
            name.removesuffix("_mask"): [int(np.sum(value))]
            for name, value in made.items()
            if name.endswith("_mask")
        }
        homes = stream.homes
        shown = [record[name] for name in _PICTURES if name in record]
        seen = [pictures.read(one, homes, where, Faults()) for one in shown]
        return found | _of_pictures([size_of(one) for one in seen])

    return of_segments if isinstance(stream, SegmentStream) else of_rows


def _rooms(stream: RecordStream) -> dict[str, int]:
    if not isinstance(stream, SegmentStream):
        return {}
    return {"tokens": stream.length, "patches": stream.num_patches}


def _of_pictures(sides: list[tuple[int, int]]) -> dict[str, list[float]]:
    return {
        "width : height": [width / height for height, width in sides],
        "megapixels": [height * width / 1e6 for height, width in sides],
    }


def _shortened(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
