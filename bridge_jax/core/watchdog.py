"""A run that stands still says where, and ends so that a launcher starts it again."""

import faulthandler
import os
import sys
import threading
import time
from typing import Self

from bridge_jax.core import runtime


class Watchdog:
    """Within, `beat` must be called at least every `seconds`; 0 watches nothing.

    Else the stacks of all threads go to stderr and the process exits with
    `runtime.EXIT_HUNG`: a process that waits for another one for ever can be ended by
    nothing that waits with it.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._last = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if self._seconds:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def beat(self) -> None:
        """There was progress."""
        self._last = time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._seconds / 4)):
            still = time.monotonic() - self._last
            if still > self._seconds:
                print(
                    f"no progress for {still:.0f} s; where each thread stands:",
                    file=sys.stderr,
                    flush=True,
                )
                faulthandler.dump_traceback(sys.__stderr__, all_threads=True)
                os._exit(runtime.EXIT_HUNG)
