"""Memory of the host: kept for the next step, or given back when nobody needs it.

It imports no jax: what `keep` says of a process holds for threads that start later.
"""

import ctypes
import gc
import os
from collections.abc import Mapping

# Of glibc's mallopt.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep(environ: Mapping[str, str] = os.environ) -> bool:
    """Keep what this process frees, if BRIDGE_JAX_KEEP_MEMORY says so ("1").

    Call before anything starts a thread. On CPUs XLA asks for all temporaries of a
    program whenever it runs, and glibc maps them anew each time, page by page: a fifth
    of a small training step (bench/NOTES.md). Kept, they are there already. Threads
    must share one arena for that, as those of others are too small for temporaries.
    What else is allocated meanwhile comes between, so that two or three times the
    memory may be held: whoever has it to spare, asks.

    Returns:
      Whether it does: without glibc, it does not.
    """
    if environ.get("BRIDGE_JAX_KEEP_MEMORY", "") in ("", "0"):
        return False
    try:
        change = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    settings = ((_TRIM_THRESHOLD, -1), (_MMAP_MAX, 0), (_ARENA_MAX, 1))
    return all(change(name, value) for name, value in settings)


def release() -> None:
    """Give back to the system what tracing and compiling have left behind.

    They make objects that know each other, which Python frees late, and C++ memory that
    glibc keeps: half a gigabyte for a training step of 25 million parameters. Where
    there is no glibc, the latter stays.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
