"""Answers that say first what they rest on: 'top left, bottom: 2'.

What is concluded stands after the last colon that a space or a line's end follows
(10:30 is one word), so that it can be told from the thought by whoever scores it. Such
an answer is asked for by `Instructions.think`.
"""

import re

ROOM = 448  # tokens beside an answer's own; a thought mostly ends long before
_MARK = re.compile(r":\s+")


def concluded(thought: str, answer: str) -> str:
    """An answer after the thought that leads to it."""
    return f"{thought}: {answer}"


def conclusion(text: str) -> str:
    """The answer alone; all of a text that has no thought before it."""
    return _MARK.split(text.strip())[-1]
