"""Answers that say first what they rest on: 'top left, bottom: 2'.

What is concluded stands after the last colon, so that it can be told from the thought
by whoever scores it. Such an answer is asked for by `Instructions.think`.
"""

MARK = ":"


def concluded(thought: str, answer: str) -> str:
    """An answer after the thought that leads to it."""
    return f"{thought}{MARK} {answer}"


def conclusion(text: str) -> str:
    """The answer alone; all of a text that has no thought before it."""
    return text.rpartition(MARK)[2].strip()
