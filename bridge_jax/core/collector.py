"""Python's garbage collector, which tracing would keep busy."""

import gc


def run_rarely() -> None:
    """For this process, from now on.

    Tracing and lowering make objects by the million, nearly all of which stay: after
    every 700 of them (Python 3.11) the collector would look through them again. About
    a tenth of a command's start was that (bench/NOTES.md). It still runs, so cycles
    go, only later.
    """
    gc.set_threshold(100_000, 20, 100)
