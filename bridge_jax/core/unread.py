"""Outputs that nobody reads any more: a closed pipe, a terminal that is gone."""

import contextlib
import errno
import os
import select
from collections.abc import Iterator

OUTPUTS = (1, 2)  # stdout, stderr


def silence(outputs: tuple[int, ...] = OUTPUTS) -> bool:
    """Whether there are any; what else is written to them goes nowhere.

    Args:
      outputs: file descriptors.
    """
    poll = select.poll()
    for output in outputs:
        poll.register(output, 0)  # told of errors alone
    unread = [output for output, _ in poll.poll(0)]
    for output in unread:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, output)
        os.close(nowhere)
    return bool(unread)


@contextlib.contextmanager
def terminal_may_go() -> Iterator[None]:
    """Within, writing to a terminal that has been closed is no error.

    A signal tells of it, and the run ends as that has it: what is written in between
    must not end it before.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO or not silence():
            raise
