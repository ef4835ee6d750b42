"""An answer on its way from the thread that makes it to the one that asked."""

import dataclasses
import queue
import threading
from collections.abc import Callable, Iterator

from bridge_jax.inference.results import Answer, Scored


class Failed(RuntimeError):
    """No answer, through no fault of who asked: a step of the model failed."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """Some of an answer.

    Attributes:
      text: whole letters; nothing of a stop string. Maybe "", in the last one.
      tokens: ids of the tokens that it took to say so much.
      logprobs: one `Scored` a token, if they were asked for.
    """

    text: str
    tokens: tuple[int, ...]
    logprobs: list[Scored] | None


class Reply:
    """Iterate for pieces as they come; together they are the text of `result()`.

    The pieces can be had once; the result any number of times, from any thread.
    """

    def __init__(self, wake: Callable[[], None]):
        self._wake = wake
        self._pieces: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._answer: Answer | None = None
        self._error: BaseException | None = None
        self.cancelled = False

    def __iter__(self) -> Iterator[Piece]:
        while (piece := self._pieces.get()) is not None:
            yield piece
        self._pieces.put(None)  # who iterates again finds the end, too
        self.result()  # for its error

    @property
    def done(self) -> bool:
        """Whether there is a result, or an error."""
        return self._over.is_set()

    @property
    def failed(self) -> bool:
        """Whether there is an error, and never a result."""
        return self._error is not None

    def result(self, timeout: float | None = None) -> Answer:
        """The whole answer, waited for.

        Raises:
          TimeoutError: not within so many seconds.
          Failed: a step of the model failed.
          BridgeError: what it was asked cannot be answered.
        """
        if not self._over.wait(timeout):
            raise TimeoutError(f"no answer within {timeout} s")
        if self._error is not None:
            raise self._error
        return self._answer

    def cancel(self) -> None:
        """No more of it, soon: the answer ends as it is, with finish "cancelled"."""
        self.cancelled = True
        self._wake()

    # --- for the thread that makes it ---------------------------------------------

    def say(self, piece: Piece) -> None:
        self._pieces.put(piece)

    def end(self, answer: Answer) -> None:
        self._answer = answer
        self._close()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._close()

    def _close(self) -> None:
        self._over.set()
        self._pieces.put(None)
