"""A property computed when it is first asked for, once, however many threads ask."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class once(Generic[T]):
    """`functools.cached_property`, which since Python 3.12 may compute it twice."""

    def __init__(self, compute: Callable[[Any], T]):
        self._compute, self._lock = compute, threading.RLock()
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        if instance is None:
            return self  # type: ignore[return-value] - the class's own attribute
        with self._lock:
            kept = vars(instance)  # looked at before this the next time
            if self._name not in kept:
                kept[self._name] = self._compute(instance)
            return kept[self._name]
