"""Outputs that nobody reads any more: a closed pipe, a terminal that is gone."""

import os
import select

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
