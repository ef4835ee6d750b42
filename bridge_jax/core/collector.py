"""Python's garbage collector, which tracing would keep busy."""

import gc


def run_rarely() -> None:
    """For this process, from now on.

    Tracing and lowering make objects by the million, nearly all of which stay: after
    every 700 of them the collector would look through them again. A tenth of a
    command's start was that. It still runs, so cycles go, only later.
    """
    gc.set_threshold(100_000, 20, 100)
