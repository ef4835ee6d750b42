"""The last few things made, such as open files: each is made once, and then shared."""

import collections
import os
import threading
from collections.abc import Callable, Hashable
from typing import Any


class Recent:
    """At most `most` values, each found by its key.

    Threads that ask for the same one wait for the first to make it; others do not
    wait. A process that was forked makes its own: handles and locks are no heritage.
    """

    def __init__(self, most: int):
        self._most = most
        self._start()

    def _start(self) -> None:
        self._process, self._lock = os.getpid(), threading.Lock()
        self._slots: collections.OrderedDict[Hashable, _Slot] = (
            collections.OrderedDict()
        )

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of `key`, made if it is not there; what `make` raises is raised."""
        if self._process != os.getpid():
            self._start()
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            if len(self._slots) > self._most:
                self._slots.popitem(last=False)
        with slot.lock:
            if not slot.full:
                slot.value, slot.full = make(), True
            return slot.value


class _Slot:
    def __init__(self):
        self.lock, self.full, self.value = threading.Lock(), False, None
