"""Records that say the very same, found by digests of all that they hold.

An id alone says little: LLaVA's own lists use one for many conversations.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xxhash


def digest(record: Mapping[str, Any]) -> tuple[int, int]:
    """Two numbers below 2 ** 31 that equal records share, and hardly any others."""
    hashed = xxhash.xxh3_64()
    _add(hashed, record)
    whole = hashed.intdigest()
    return whole & 0x7FFFFFFF, whole >> 33


def firsts(digests: np.ndarray) -> np.ndarray:
    """For each of [N, 2] the number of the first that is the same: [N] int64."""
    _, first, group = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    return first[group.reshape(-1)].astype(np.int64)


def _add(hashed: xxhash.xxh3_64, value: Any) -> None:
    """A value with its kind and size, so that no two values are one text."""
    if isinstance(value, Mapping):
        hashed.update(b"m%d:" % len(value))
        for name in sorted(value, key=str):
            _add(hashed, str(name))
            _add(hashed, value[name])
    elif isinstance(value, list | tuple):
        hashed.update(b"l%d:" % len(value))
        for one in value:
            _add(hashed, one)
    elif isinstance(value, np.ndarray):
        hashed.update(f"a{value.dtype}{value.shape}:".encode())
        hashed.update(value.tobytes())
    else:
        data = value if isinstance(value, bytes) else _spelt(value)
        hashed.update(f"{type(value).__name__}{len(data)}:".encode())
        hashed.update(data)


def _spelt(value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")
