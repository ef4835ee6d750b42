"""Batches read ahead by processes of their own, in order.

Rows are made in Python, of which a process runs one thread at a time, however many it
has. Grain's own processes are not used: what they save of their position holds for
that number of them alone, and here a run may go on with any.
"""

import collections
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from concurrent.futures import process
from typing import Any

import grain

from bridge_jax.core.errors import BridgeError

_datasets: dict[str, grain.MapDataset] = {}  # of a reader process


def iterators(
    datasets: Mapping[str, grain.MapDataset], processes: int, prefetch: int
) -> dict[str, "Ahead"]:
    """One iterator a dataset; all are read by the same processes.

    Args:
      datasets: must be picklable, and so must what they map with.
      prefetch: elements of each that wait or are being made, beside one a process.
    """
    pool = futures.ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("spawn"),  # threads of ours make a fork unsafe
        initializer=_begin,
        initargs=(dict(datasets),),
    )
    return {name: Ahead(pool, name, processes + prefetch) for name in datasets}


class Ahead:
    """Endless iterator over one dataset; its state is Grain's own in-process one."""

    def __init__(self, pool: futures.Executor, name: str, most: int):
        self._pool, self._name, self._most = pool, name, most
        self._coming: collections.deque[futures.Future] = collections.deque()
        self._next = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """Raises what reading raised; BridgeError if a process was killed."""
        try:
            while len(self._coming) < self._most:
                place = self._next + len(self._coming)
                self._coming.append(self._pool.submit(_read, self._name, place))
            element = self._coming.popleft().result()
        except process.BrokenProcessPool as error:
            raise BridgeError(
                "a reader process was killed, for its memory perhaps: take fewer"
                " reader_processes, and --resume"
            ) from error
        self._next += 1
        return element

    def get_state(self) -> dict[str, int]:
        return {"next_index": self._next}

    def set_state(self, state: Mapping[str, int]) -> None:
        for one in self._coming:
            one.cancel()
        self._coming.clear()
        self._next = state["next_index"]


def _begin(datasets: dict[str, grain.MapDataset]) -> None:
    """Ends with the process that reads, and not by signals to the group of both."""
    _datasets.update(datasets)
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # a reader process has one
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _read(name: str, place: int) -> Any:
    return _datasets[name][place]
