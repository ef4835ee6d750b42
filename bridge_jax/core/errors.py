"""The one error that speaks to users."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self


class BridgeError(Exception):
    """A mistake in the input: one line that says what, where and the way out.

    The command line prints it on stderr without a traceback and exits with 2.
    """


class Mistakes:
    """Gathers what several checks raise, so that all of it is told in one line.

        mistakes = Mistakes()
        with mistakes:
            first_check()
        with mistakes:
            second_check()
        mistakes.end()  # raises one BridgeError if there were any

    What a check that failed was to give is not there: end before it is used.
    """

    def __init__(self):
        self._found: dict[str, None] = {}

    def add(self, *sentences: str) -> None:
        """Note mistakes; each is told once."""
        self._found |= dict.fromkeys(sentences)

    def end(self) -> None:
        """Raises BridgeError with everything that was noted, if anything was."""
        if self._found:
            raise BridgeError("; ".join(self._found))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, BridgeError):
            self.add(str(error))
        return isinstance(error, BridgeError)


@contextlib.contextmanager
def recording(path: Path) -> Iterator[None]:
    """Within, a run writes to `path`; what the disk refuses becomes a BridgeError."""
    try:
        yield
    except OSError as error:
        raise BridgeError(
            f"cannot write {path}: {error.strerror}; make room or mend that, and"
            " --resume: the last checkpoint is whole"
        ) from error
