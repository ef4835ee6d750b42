"""Streams -> batches through Grain: {stream name: {field: [B, ...]}}, resumable.

Row i of the global order is a pure function of i, and each process takes its block of
every batch, so any number of processes forms the same global batch in the same order:
noise and dropout, which are drawn by position, stay the same, too.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import grain
import numpy as np

from bridge_jax.core import config as config_lib
from bridge_jax.core import rooms
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import ahead
from bridge_jax.data import processor as processor_lib
from bridge_jax.data.cache import reading, wishes
from bridge_jax.data.streams import ENDLESS


@dataclasses.dataclass(frozen=True)
class Settings:
    """Attributes:
    streams: name -> {"source": file in data/streams, "batch": rows over all
      processes, **fields of its Stream}.
    threads: reader threads a stream, within this process.
    processes: reader processes for all streams, instead; 0 for none. Rows are the same
      ones, in the same order.
    prefetch: batches read ahead a stream.
    cache: what rows take from a cache.
    """

    streams: Mapping[str, Any]
    threads: int = 1
    processes: int = 0
    prefetch: int = 4
    cache: reading.Settings = reading.Settings()

    def __post_init__(self):
        """Raises BridgeError for fewer readers than none."""
        given = {"reader_threads": self.threads, "reader_processes": self.processes}
        if wrong := [f"{name} is {n}" for name, n in given.items() if n < 0]:
            raise BridgeError(f"{', '.join(wrong)}: give 0 for none, or more")


class Batches:
    """Endless iterator over batches of all streams, with an exact state.

    After an error it gives nothing more: Grain's own iterators would go on with what
    other threads had read ahead, and then end, as if that had been all.
    """

    def __init__(self, iterators: Mapping[str, Any]):
        self._iterators = dict(iterators)
        self._failed = ""

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> dict[str, dict[str, Any]]:
        if self._failed:
            raise BridgeError(f"no more data after an error: {self._failed}")
        batch = {}
        for name, iterator in self._iterators.items():
            try:
                batch[name] = next(iterator)
            except BaseException as error:
                self._failed = f"streams.{name}: {error or type(error).__name__}"
                raise
        return batch

    def get_state(self) -> dict[str, Any]:
        """JSON-ready position of every stream."""
        return {name: it.get_state() for name, it in self._iterators.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue where `get_state` was; BridgeError if it had other streams."""
        if set(state) != set(self._iterators):
            raise BridgeError(
                f"the saved data position is of streams {sorted(state)}, this run has "
                f"{sorted(self._iterators)}; start anew with init instead of resuming"
            )
        for name, iterator in self._iterators.items():
            iterator.set_state(state[name])


def stream_class(name: str, given: Mapping[str, Any]) -> type:
    """The Stream that {"source": file} names. Raises BridgeError if there is none."""
    source = given.get("source", name)
    return rooms.load(f"{__package__}.streams", source, "Stream", f"streams.{name}")


def load_stream(
    name: str,
    given: Mapping[str, Any],
    processor: processor_lib.Processor,
    captions: wishes.Captions | None = None,
) -> Any:
    """The Stream of {"source": file, **fields}. Raises BridgeError for a wrong name.

    `captions` answers its wishes, if it has any.
    """
    fields = {key: value for key, value in given.items() if key != "source"}
    fields["processor"] = processor
    cls = stream_class(name, given)
    if captions is not None and _has(cls, wishes.FIELD):
        fields[wishes.FIELD] = captions
    return config_lib.to_dataclass(cls, fields, f"streams.{name}")


def opened(
    name: str,
    given: Mapping[str, Any],
    processor: processor_lib.Processor,
    captions: wishes.Captions | None = None,
) -> tuple[Any, int]:
    """The Stream of {"batch": rows, "source": file, **fields}, and its rows a batch.

    A Stream that has a field `batch` is told; 0 is none. Raises BridgeError as
    `load_stream`.
    """
    fields = dict(given)
    size = fields.pop("batch", 0)
    if _has(stream_class(name, fields), "batch"):
        fields["batch"] = size
    return load_stream(name, fields, processor, captions), size


def batches(
    settings: Settings,
    processor: processor_lib.Processor,
    process_index: int = 0,
    process_count: int = 1,
) -> Batches:
    """The batches of this process, from the first row on.

    Raises:
      BridgeError: no batch size, or one that the number of processes does not divide.
    """
    datasets = {}
    for name, given in settings.streams.items():
        captions = settings.cache.captions(processor)
        stream, size = opened(name, given, processor, captions)
        if size < 1 or size % process_count:
            raise BridgeError(
                f"streams.{name}.batch is {size}: give a positive multiple of the "
                f"number of processes, {process_count}"
            )
        stream = settings.cache.around(stream)
        share = size // process_count
        place = functools.partial(_place, size, share, process_index)
        rows = grain.MapDataset.range(ENDLESS // process_count).map(place)
        rows = rows.map(functools.partial(_row, stream))
        datasets[name] = rows.batch(share, drop_remainder=True)
    if settings.processes:
        return Batches(ahead.iterators(datasets, settings.processes, settings.prefetch))
    options = grain.ReadOptions(
        num_threads=settings.threads, prefetch_buffer_size=settings.prefetch
    )
    return Batches(
        {name: iter(whole.to_iter_dataset(options)) for name, whole in datasets.items()}
    )


def _has(cls: type, field: str) -> bool:
    return any(one.name == field for one in dataclasses.fields(cls))


def _place(batch: int, share: int, process: int, index: int) -> int:
    """Global number of a process's own row `index`."""
    number, within = divmod(int(index), share)
    return number * batch + process * share + within


def _row(stream: Any, index: int) -> dict[str, np.ndarray]:
    return stream(int(index))
