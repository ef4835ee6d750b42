"""Who waits: a bounded line of requests before the threads that own the model.

The server itself runs in one event loop, which must never wait for a device. A request
becomes a `Ticket`; the work runs in a thread, tells of its progress, and looks whether
anybody still wants it.
"""

import asyncio
import concurrent.futures
import math
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from bridge_jax.serve.refused import Refused

_LONGEST = 60  # seconds that a client is told to wait
_RECENT = 0.2  # weight of the newest request in what one takes


class Left(Exception):
    """Within the work: nobody wants the result any more."""


class Ticket:
    """One request's place in the line, and what comes of it.

    What is not "from the work" is for the event loop.

    Attributes:
      deadline: by the loop's clock, after which nobody waits any more.
    """

    def __init__(self, seconds: float):
        self._loop = asyncio.get_running_loop()
        self.deadline = self._loop.time() + seconds
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._left = threading.Event()
        self._on_leaving: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self.ended = False

    def tell(self, event: Any) -> None:
        """From the work: an event for `events`.

        Raises:
          Left: nobody wants it.
        """
        self.wanted()
        self.call(self._events.put_nowait, ("event", event))

    def wanted(self) -> None:
        """From the work: raises Left if nobody waits for it any more."""
        if self._left.is_set():
            raise Left

    def on_leaving(self, action: Callable[[], None]) -> None:
        """From the work: call `action` once nobody wants the result any more."""
        with self._lock:
            if not self._left.is_set():
                self._on_leaving.append(action)
                return
        action()

    def leave(self) -> None:
        """Nobody wants the result any more. Harmless when there is one."""
        with self._lock:
            if self._left.is_set():
                return
            self._left.set()
            actions, self._on_leaving = self._on_leaving, []
        if not self.ended:
            for action in actions:
                action()

    async def events(self) -> AsyncIterator[Any]:
        """What the work tells. What it raises is raised here.

        The work's own result is the last event.
        """
        while True:
            kind, value = await self._events.get()
            if kind == "error":
                raise value
            yield value
            if kind == "result":
                return

    def end(self, kind: str, value: Any) -> None:
        """From the line: the work is over."""
        self.ended = True
        self._events.put_nowait((kind, value))

    def call(self, action: Callable[..., None], *values: Any) -> None:
        """From the work: `action(*values)` in the event loop."""
        try:
            self._loop.call_soon_threadsafe(action, *values)
        except RuntimeError:  # the loop is closed: the server was stopped by force
            raise Left from None


class Line:
    """Threads for one kind of work, and the requests that wait for them.

    Everything but the work itself happens in the event loop.

    Args:
      name: for messages and figures.
      workers: works that run side by side.
      waiting: requests that may wait beside those that run.
      seconds: that a request may wait and run.
    """

    def __init__(self, name: str, workers: int, waiting: int, seconds: float):
        self.name, self.workers, self.most_waiting = name, workers, waiting
        self.allowed = seconds
        self.running = 0
        self._waiting: dict[Ticket, Callable[[Ticket], Any]] = {}  # in their order
        self._seconds = 1.0  # that a work takes
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, f"serve-{name}")

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def enter(self, work: Callable[[Ticket], Any]) -> Ticket:
        """Run `work` in a thread when its turn comes.

        Raises:
          Refused: too many wait (429).
        """
        if self.running == self.workers and self.waiting >= self.most_waiting:
            turns = math.ceil((self.waiting + 1) / self.workers)
            seconds = min(_LONGEST, max(1, math.ceil(turns * self._seconds)))
            raise Refused(
                429,
                f"the server is busy, {self.waiting} requests wait already: try again"
                f" in {seconds} s",
                code="rate_limit_exceeded",
                retry_after=seconds,
            )
        ticket = Ticket(self.allowed)
        self._waiting[ticket] = work
        ticket.on_leaving(lambda: self._waiting.pop(ticket, None))
        self._start()
        return ticket

    def close(self) -> None:
        """Wait for what runs; what waits is given up."""
        self._waiting.clear()
        self._pool.shutdown()

    def _start(self) -> None:
        while self._waiting and self.running < self.workers:
            ticket = next(iter(self._waiting))
            work = self._waiting.pop(ticket)
            self.running += 1
            self._pool.submit(self._run, ticket, work)

    def _run(self, ticket: Ticket, work: Callable[[Ticket], Any]) -> None:
        begun = time.monotonic()
        try:
            ticket.wanted()
            ended = ("result", work(ticket))
        except BaseException as error:  # noqa: BLE001 - somebody waits for it
            ended = ("error", error)
        try:
            ticket.call(self._ended, ticket, ended, time.monotonic() - begun)
        except Left:
            pass

    def _ended(self, ticket: Ticket, ended: tuple[str, Any], seconds: float) -> None:
        self.running -= 1
        if ended[0] == "result":
            self._seconds += _RECENT * (seconds - self._seconds)
        ticket.end(*ended)
        self._start()
