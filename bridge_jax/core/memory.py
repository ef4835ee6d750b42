"""Memory of the host: kept for the next step, or given back when nobody needs it.

It imports no jax: what `keep` says of a process holds for threads that start later.
Two allocators are known: glibc's, and jemalloc where that was loaded before it
(LD_PRELOAD=libjemalloc.so.2).
"""

import ctypes
import gc
import os
from collections.abc import Callable, Mapping

# Of glibc's mallopt.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
# Of jemalloc's mallctl: how long arenas that are made from now on keep what was freed
# (milliseconds, -1 for ever), and that all arenas give it back now.
_DECAY, _PURGE = b"arenas.dirty_decay_ms", b"arena.4096.purge"


def keep(environ: Mapping[str, str] = os.environ) -> bool:
    """Keep what this process frees, if BRIDGE_JAX_KEEP_MEMORY says so ("1").

    Call before anything starts a thread. On CPUs XLA asks for all temporaries of a
    program whenever it runs, and glibc maps them anew each time, page by page: a fifth
    of a small training step (bench/NOTES.md). Kept, they are there already. What that
    costs depends on the allocator:

    glibc: threads must share one arena, as those of others are too small for
      temporaries. What else is allocated meanwhile comes between, so that two or three
      times the memory may be held.
    jemalloc: blocks of 8 MB and more have an arena of their own. XLA may ask for a
      step's temporaries just before it frees those of the last one: as much again.

    Returns:
      Whether it does: with neither, it does not.
    """
    if environ.get("BRIDGE_JAX_KEEP_MEMORY", "") in ("", "0"):
        return False
    if (control := _function("mallctl")) is not None:
        for_ever = ctypes.c_ssize_t(-1)
        given = ctypes.byref(for_ever), ctypes.c_size_t(ctypes.sizeof(for_ever))
        return control(_DECAY, None, None, *given) == 0
    if (change := _function("mallopt")) is not None:
        settings = ((_TRIM_THRESHOLD, -1), (_MMAP_MAX, 0), (_ARENA_MAX, 1))
        return all(change(name, value) for name, value in settings)
    return False


def release() -> None:
    """Give back to the system what tracing and compiling have left behind.

    They make objects that know each other, which Python frees late, and C++ memory that
    the allocator keeps: half a gigabyte for a training step of 25 million parameters.
    With neither glibc nor jemalloc, the latter stays.
    """
    gc.collect()
    if (control := _function("mallctl")) is not None:
        control(_PURGE, None, None, None, ctypes.c_size_t(0))
    elif (trim := _function("malloc_trim")) is not None:
        trim(0)


def _function(name: str) -> Callable[..., int] | None:
    """What this process calls so; None where nothing is."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
