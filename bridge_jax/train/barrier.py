"""Where all processes of a run wait for the slowest one."""

from orbax.checkpoint import multihost

_LONGEST = 4 * 3600 * 1000  # milliseconds


def meet(place: str) -> None:
    """Return once every process has come to `place`, a name of its own in each run.

    Unlike a collective, whose partners on CPUs give up on each other after 30 s, it
    waits for as long as a compilation may take.
    """
    multihost.get_barrier_sync_fn()(key=place, timeout_ms=_LONGEST)
