"""Memory of the host that nobody needs any more."""

import ctypes
import gc


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
