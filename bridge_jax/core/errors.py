"""The one error that speaks to users."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


class BridgeError(Exception):
    """A mistake in the input: one line that says what, where and the way out.

    The command line prints it on stderr without a traceback and exits with 2.
    """


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
